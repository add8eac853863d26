"""A document's content, whole where one message can carry it, and otherwise in pieces."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

UNARY_BYTES = 1024 * 1024
PIECE_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True)
class Content:
    """`whole` where it has at most 1 MiB, else None; `pieces` gives it from the start each time."""

    whole: bytes | None
    pieces: Callable[[], Iterator[bytes]]


def content_of(source: bytes | Path) -> Content:
    """The content of bytes or of a file.

    A file is not read whole to learn its length, and one that grows meanwhile does no harm. Raises
    OSError where it cannot be read.
    """
    if isinstance(source, bytes):
        whole = source if len(source) <= UNARY_BYTES else None
        return Content(whole, lambda: _cut(source))
    with source.open("rb") as file:
        head = file.read(UNARY_BYTES + 1)
    return Content(head if len(head) <= UNARY_BYTES else None, lambda: _read(source))


def _cut(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), PIECE_BYTES):
        yield content[start : start + PIECE_BYTES]


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
