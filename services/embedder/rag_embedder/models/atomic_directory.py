"""Directories that are created atomically: complete or not at all, and readable by all users."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """A temporary directory to fill; it is renamed to `target` on exit, and deleted after an error.

    If another process has created `target` meanwhile, that one stays.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield draft
        _make_readable(draft)
        _rename(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _make_readable(directory: Path) -> None:
    directory.chmod(0o755)
    for path in directory.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _rename(draft: Path, target: Path) -> None:
    try:
        os.rename(draft, target)
    except OSError:
        if not target.is_dir():
            raise
