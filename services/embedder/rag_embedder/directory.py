"""Directories that appear whole or not at all, and that everyone may read."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """A directory to fill; it becomes `target` on leaving, and is gone after an error.

    When another process made `target` meanwhile, theirs stays.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield draft
        _open_to_all(draft)
        _rename(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _open_to_all(directory: Path) -> None:
    directory.chmod(0o755)
    for path in directory.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _rename(draft: Path, target: Path) -> None:
    try:
        os.rename(draft, target)
    except OSError:
        if not target.is_dir():
            raise
