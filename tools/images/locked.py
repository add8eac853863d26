"""Reads the lock files of images for another Python than this one."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@dataclass(frozen=True)
class Locked:
    """A package of a lock file, with its hashes."""

    requirement: Requirement
    hashes: Sequence[str]

    @property
    def name(self) -> str:
        """Its normalised name."""
        return canonicalize_name(self.requirement.name)

    @property
    def line(self) -> str:
        """It as a line of a requirements file, without its condition."""
        hashes = " ".join(f"--hash={one}" for one in self.hashes)
        return f"{self.name}{self.requirement.specifier} {hashes}\n"


def locked(path: Path, python: str) -> list[Locked]:
    """The packages of a lock file that CPython of this version ("3.11") needs on Linux, on this CPU."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    return [one for one in _parsed(path.read_text()) if _applies(one.requirement, environment)]


def _parsed(text: str) -> Iterator[Locked]:
    for block in re.split(r"\n(?=\S)", text.strip()):
        if not block.startswith("#"):
            head, *hashes = re.split(r"\s*\\?\s+--hash=", block)
            yield Locked(Requirement(head), hashes)


def _applies(requirement: Requirement, environment: dict[str, str]) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(environment)
