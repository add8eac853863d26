"""The hashes of a prepared model's files, by which damage is noticed: of a volume, or of a copy."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

_FILE = "checksums.json"


def write(directory: Path) -> None:
    """Write the SHA-256 of each file of the directory into a file beside them."""
    hashes = {path.name: _hash(path) for path in sorted(directory.iterdir()) if path.is_file()}
    (directory / _FILE).write_text(json.dumps(hashes, indent=2) + "\n")


def exist(directory: Path) -> bool:
    """Whether the model was prepared with hashes; earlier versions wrote none."""
    return (directory / _FILE).is_file()


def damaged(directory: Path) -> list[str]:
    """The names of files that are missing or changed; none for a model without hashes.

    It reads all files: 134 MB take 0.2 s.
    """
    if not exist(directory):
        return []
    try:
        hashes = json.loads((directory / _FILE).read_text())
        return list(_differing(directory, hashes))
    except (ValueError, AttributeError):
        return [_FILE]


def _differing(directory: Path, hashes: dict[str, str]) -> Iterator[str]:
    for name, expected in hashes.items():
        path = directory / name
        if not path.is_file() or _hash(path) != expected:
            yield name


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
