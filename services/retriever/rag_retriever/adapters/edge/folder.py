"""An index's folder: what it is made for, which of its shards is current, and nothing half made.

root/.lock              held while a process has the folder
root/aliases.json       what `default` means
root/<name>/index.json  the description; names the current shard
root/<name>/<shard>/    the engine's own files
"""

import fcntl
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rag_common.errors import InvalidArgument, Unavailable
from rag_retriever.ports import IndexSpec

DEFAULT = "default"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
_DESCRIPTION = "index.json"
_ALIASES = "aliases.json"


@dataclass(frozen=True, slots=True)
class Description:
    """An index as its folder says it is. `optimized` counts the points in the search graph."""

    dimensions: int
    fingerprint: str
    created: str
    shard: str
    optimized: int = 0

    def spec(self, name: str) -> IndexSpec:
        return IndexSpec(name, self.dimensions, self.fingerprint)


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the folder for this process; Unavailable where another has it."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Unavailable("another process has the index folder open; only one may") from error
        yield


def names(root: Path) -> list[str]:
    """The indexes that are there, once what a crash left half made or half removed is gone."""
    for leftover in root.glob(".index-*"):
        shutil.rmtree(leftover)
    return sorted(path.name for path in root.iterdir() if path.is_dir())


def checked(name: str) -> str:
    """The name, if it can be one of a new index and its folder."""
    if name == DEFAULT or not _NAME.fullmatch(name):
        raise InvalidArgument.of(
            "index",
            "a lower-case letter, then letters, digits or hyphens, at most 64, and not `default`",
        )
    return name


def begin(root: Path, spec: IndexSpec) -> tuple[Path, Description]:
    """A folder to make an index in; it is none until `finish` has run."""
    description = Description(
        spec.dimensions, spec.fingerprint, datetime.now(UTC).isoformat(), new_shard()
    )
    folder = root / f".index-{uuid.uuid4().hex}"
    (folder / description.shard).mkdir(parents=True)
    save(folder, description)
    return folder, description


def finish(folder: Path, name: str) -> Path:
    """Show the index under its name, all at once."""
    target = folder.with_name(name)
    folder.rename(target)
    _sync(target.parent)
    return target


def remove(folder: Path) -> None:
    """Remove an index: gone at once, its files soon after."""
    doomed = folder.with_name(f".index-{uuid.uuid4().hex}")
    folder.rename(doomed)
    _sync(doomed.parent)
    shutil.rmtree(doomed)


def load(folder: Path) -> Description:
    """The description; Unavailable where it is missing or not one."""
    try:
        return Description(**json.loads((folder / _DESCRIPTION).read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise Unavailable(
            f"the index {folder.name!r} has no readable {_DESCRIPTION}: restore or remove it"
        ) from error


def save(folder: Path, description: Description) -> None:
    """Replace the description in one step that outlives a power cut."""
    _replace(folder / _DESCRIPTION, asdict(description))


def tidy(folder: Path, description: Description) -> None:
    """Remove the shards that a crash or a swap left behind."""
    for path in folder.iterdir():
        if path.is_dir() and path.name != description.shard:
            shutil.rmtree(path, ignore_errors=True)


def new_shard() -> str:
    """A name that no shard had before, so that a late writer of an old one can do no harm."""
    return f"shard-{uuid.uuid4().hex[:12]}"


def default(root: Path) -> str | None:
    """What the alias means, None before the first index."""
    try:
        name = json.loads((root / _ALIASES).read_bytes())[DEFAULT]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unavailable(f"{_ALIASES} in the index folder cannot be read; restore it") from error
    return str(name)


def set_default(root: Path, name: str) -> None:
    """Let the alias mean this index."""
    _replace(root / _ALIASES, {DEFAULT: name})


def _replace(path: Path, content: dict[str, Any]) -> None:
    draft = path.with_suffix(".draft")
    with draft.open("w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
