"""The directory layout of the embedded engine's indexes; every change is atomic.

root/.lock              locked while a process uses the directory
root/aliases.json       the index that `default` refers to
root/<name>/index.json  the description; names the current shard
root/<name>/<shard>/    the engine's own files
"""

import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rag_contract.errors import IndexUnusable
from rag_retriever.index.names import DEFAULT
from rag_retriever.index.ports import IndexSpec

_DESCRIPTION = "index.json"
_ALIASES = "aliases.json"


@dataclass(frozen=True, slots=True)
class Description:
    """The persistent description of an index.

    `optimized` is the number of points in the search graph, `changed` the last saved number of points
    written since it was built.
    """

    dimensions: int
    fingerprint: str
    created: str
    shard: str
    optimized: int = 0
    changed: int = 0

    def spec(self, name: str) -> IndexSpec:
        return IndexSpec(name, self.dimensions, self.fingerprint)


@contextmanager
def lock_directory(root: Path) -> Iterator[None]:
    """Lock the directory for this process. Raises Unavailable if another process has locked it."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise IndexUnusable(
                "another process has the index directory open; only one may"
            ) from error
        yield


def index_names(root: Path) -> list[str]:
    """The names of all indexes; first removes incomplete directories that a crash left."""
    for leftover in root.glob(".index-*"):
        shutil.rmtree(leftover)
    return sorted(path.name for path in root.iterdir() if path.is_dir())


def create_draft(root: Path, spec: IndexSpec) -> tuple[Path, Description]:
    """A draft directory for a new index, which becomes an index only by `publish_draft`."""
    description = Description(
        spec.dimensions, spec.fingerprint, datetime.now(UTC).isoformat(), new_shard()
    )
    directory = root / f".index-{uuid.uuid4().hex}"
    (directory / description.shard).mkdir(parents=True)
    save(directory, description)
    return directory, description


def publish_draft(directory: Path, name: str) -> Path:
    """Rename a draft directory to the index's name, atomically and durably."""
    target = directory.with_name(name)
    directory.rename(target)
    _fsync_directory(target.parent)
    return target


def remove(directory: Path) -> None:
    """Remove an index: it disappears atomically, then its files are deleted."""
    doomed = directory.with_name(f".index-{uuid.uuid4().hex}")
    directory.rename(doomed)
    _fsync_directory(doomed.parent)
    shutil.rmtree(doomed)


def load(directory: Path) -> Description:
    """An index's description. Raises Unavailable if it is missing or invalid."""
    try:
        return Description(**json.loads((directory / _DESCRIPTION).read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise IndexUnusable(
            f"the index {directory.name!r} has no readable {_DESCRIPTION}: restore or remove it"
        ) from error


def save(directory: Path, description: Description) -> None:
    """Replace the description atomically and durably."""
    _replace(directory / _DESCRIPTION, asdict(description))


def remove_stale_shards(directory: Path, description: Description) -> None:
    """Remove all shards but the current one, which a crash or a swap left behind."""
    for path in directory.iterdir():
        if path.is_dir() and path.name != description.shard:
            shutil.rmtree(path, ignore_errors=True)


def copy_shard(source: Path, target: Path) -> None:
    """Copy a shard's files to a new directory. The shard must not be written to meanwhile."""
    shutil.copytree(source, target)


def new_shard() -> str:
    """A unique shard name, so that a late write to an old shard cannot affect the new one."""
    return f"shard-{uuid.uuid4().hex[:12]}"


def default_index(root: Path) -> str | None:
    """The index that `default` refers to, None before the first index is created."""
    try:
        name = json.loads((root / _ALIASES).read_bytes())[DEFAULT]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IndexUnusable(
            f"{_ALIASES} in the index directory cannot be read; restore it"
        ) from error
    return str(name)


def set_default_index(root: Path, name: str) -> None:
    """Point `default` to this index."""
    _replace(root / _ALIASES, {DEFAULT: name})


def _replace(path: Path, content: dict[str, Any]) -> None:
    draft = path.with_suffix(".draft")
    with draft.open("w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _fsync_directory(path.parent)


def _fsync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
