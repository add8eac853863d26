"""What an image is made from: a hash that tells whether it has to be built again, and its revision."""

import hashlib
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tools import ROOT

# What the wheels of this repository are made from.
SOURCES = ("libs", "services", "pyproject.toml", "README.md", "requirements/build.txt")
_RECIPE = ("Dockerfile", ".dockerignore", "tools/images", "tools/lock.py", "requirements/pip.txt")


def lock_file(variant: str) -> str:
    """The path of the lock file of an image, from the repository's root."""
    return f"requirements/images/{variant}.txt"


def of_image(variant: str) -> tuple[str, ...]:
    """The files and folders that an image is made from."""
    return (*SOURCES, *_RECIPE, lock_file(variant))


def digest(paths: Iterable[str], *others: str) -> str:
    """A hash of the files, with their names, and of other texts."""
    result = hashlib.sha256("\n".join(others).encode())
    for path in _files(paths):
        result.update(f"\n{path.relative_to(ROOT)}\n".encode())
        result.update(hashlib.sha256(path.read_bytes()).digest())
    return result.hexdigest()


def _files(paths: Iterable[str]) -> Iterator[Path]:
    for name in paths:
        path = ROOT / name
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (one for one in found if one.is_file() and "__pycache__" not in one.parts)


@dataclass(frozen=True)
class Revision:
    """The last commit that changed what an image is made from: empty without Git.

    `created` is its date in ISO 8601. A commit ends in "-changed" if there are changes since.
    """

    commit: str = ""
    created: str = ""


def revision(paths: Iterable[str]) -> Revision:
    """The revision of the files."""
    names = list(paths)
    line = _git("log", "-1", "--format=%H %cI", "--", *names).strip()
    if not line:
        return Revision()
    commit, created = line.split(" ", 1)
    changed = _git("status", "--porcelain", "--", *names).strip()
    return Revision(f"{commit}-changed" if changed else commit, created)


def _git(*arguments: str) -> str:
    try:
        command = ("git", *arguments)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout if done.returncode == 0 else ""
