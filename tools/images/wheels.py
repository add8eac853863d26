"""Fetches the wheels of an image by the hashes of its lock file, for the Dockerfile to install.

They are fetched on this machine, with pip as it is configured here, for the Python of the image:
the build itself needs no network, and Docker and buildah install the same files.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tools import ROOT
from tools.images.archive import EPOCH
from tools.images.locked import Locked, locked
from tools.lock import FOLDER, OWN

# The newest glibc of wheels that are fetched: that of Debian 12.
_NEWEST_GLIBC = 36
_OLDER_NAMES = ("manylinux2014", "manylinux2010", "manylinux1", "linux")
# Archives of data, without a wheel: setuptools packs them, and compiles nothing.
_SOURCES = {"kiwipiepy-model"}
# The distributions of this repository that an image holds.
_INSTALLED = ("rag-platform", "rag-client")
# PyTorch is in no lock file, so that its build can be chosen (tools/setup.sh).
_TORCH = "torch==2.13.0"
_PACK = ("wheel", "--no-deps", "--no-build-isolation")


def fetch(lock: str, python: str, folder: Path) -> None:
    """Fill the folder with the wheels of requirements/images/`lock`.txt.

    Raises subprocess.CalledProcessError if one cannot be had.
    """
    packages = locked(FOLDER / "images" / f"{lock}.txt", python)
    with _filled(folder) as draft:
        _download([one for one in packages if one.name not in _SOURCES], python, draft)
        if lock.endswith("-torch"):
            _download_torch(python, draft)
        _pack([one for one in packages if one.name in _SOURCES], draft)


def fetch_pip(python: str, folder: Path) -> None:
    """Fill the folder with the wheel of pip, which installs the others and runs from its wheel."""
    with _filled(folder) as draft:
        _download(locked(FOLDER / "pip.txt", python), python, draft)


def pack_own(folder: Path) -> None:
    """Fill the folder with the wheels of this repository that an image holds."""
    with _filled(folder) as draft, _builders() as builders:
        sources = [ROOT / OWN[name] for name in _INSTALLED]
        _pip(*_PACK, "--no-index", "-w", draft, *sources, path=builders)


@contextmanager
def _filled(folder: Path) -> Iterator[Path]:
    """A draft that takes the folder's place when it is complete."""
    draft = folder.with_name(f".{folder.name}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    yield draft
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def _download(packages: Sequence[Locked], python: str, folder: Path) -> None:
    with TemporaryDirectory() as temporary:
        wanted = _written(packages, Path(temporary))
        _pip("download", *_target(python), "--require-hashes", "--dest", folder, "-r", wanted)


def _download_torch(python: str, folder: Path) -> None:
    index = [f"--index-url={url}"] if (url := os.environ.get("TORCH_INDEX")) else []
    torch = os.environ.get("TORCH") or _TORCH
    _pip("download", *_target(python), "--dest", folder, *index, torch)


def _target(python: str) -> Iterator[str]:
    yield from ("--no-deps", "--only-binary=:all:", "--implementation=cp")
    yield f"--python-version={python}"
    cpu = platform.machine()
    yield from (f"--platform=manylinux_2_{minor}_{cpu}" for minor in range(_NEWEST_GLIBC, 4, -1))
    yield from (f"--platform={name}_{cpu}" for name in _OLDER_NAMES)


def _pack(packages: Sequence[Locked], folder: Path) -> None:
    if packages:
        with _builders() as builders:
            wanted = _written(packages, builders)
            _pip(*_PACK, "--require-hashes", "-w", folder, "-r", wanted, path=builders)


@contextmanager
def _builders() -> Iterator[Path]:
    """A folder with what packs packages, by its lock file."""
    with TemporaryDirectory() as temporary:
        options = ("--no-deps", "--require-hashes", "--only-binary=:all:")
        _pip("install", *options, "--target", temporary, "-r", FOLDER / "build.txt")
        yield Path(temporary)


def _written(packages: Sequence[Locked], folder: Path) -> Path:
    path = folder / "requirements.txt"
    path.write_text("".join(one.line for one in packages))
    return path


def _pip(*arguments: str | Path, path: Path | None = None) -> None:
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(EPOCH)}
    if path:
        environment["PYTHONPATH"] = str(path)
    command = [sys.executable, "-m", "pip", *map(str, arguments)]
    options = ("-qq", "--disable-pip-version-check", "--no-input")
    subprocess.run([*command, *options], env=environment, check=True)
