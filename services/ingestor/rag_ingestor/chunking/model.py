"""The chunk: a piece of a document's text with its place."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    """Where in its file a chunk is, besides its page: rows of a sheet, from 1, or a message's attachment.

    What the format does not have is empty or 0.
    """

    sheet: str = ""
    first_row: int = 0
    last_row: int = 0
    attachment: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Code points [start, end) of the document's NFC text, UTF-8 bytes [start_byte, end_byte).

    `text` is exactly that slice. `headings` lists the enclosing headings, outermost first. `page` is
    the page or slide on which the chunk begins, None if the format has none. Chunks of a document are
    numbered by `ordinal` from 0.
    """

    ordinal: int
    text: str
    start: int
    end: int
    start_byte: int
    end_byte: int
    headings: tuple[str, ...] = ()
    page: int | None = None
    location: Location | None = None
