"""Facts that a document must keep when it is read, each with its own check."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag_ingestor.chunking.chunks import ChunkSettings, chunk
from rag_ingestor.chunking.model import Chunk
from rag_ingestor.parsing.parsed import Kind, Parsed

# Passages of a line or two, so that a place is that of the fact.
_SMALL = ChunkSettings(target_tokens=12, max_tokens=16, overlap_tokens=0, min_tokens=0)

Check = Callable[[Parsed], bool]


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact in words, and whether a document that was read keeps it."""

    says: str
    holds: Check


def has(text: str) -> Fact:
    """The text is there, on one line or over line ends."""
    return Fact(f"has “{text}”", lambda parsed: _flat(text) in _said(parsed))


def lacks(text: str) -> Fact:
    """The text is not there."""
    return Fact(f"lacks “{text}”", lambda parsed: _flat(text) not in _said(parsed))


def once(text: str) -> Fact:
    """The text is there once: it is not repeated with every page."""
    return Fact(f"has “{text}” once", lambda parsed: _said(parsed).count(_flat(text)) == 1)


def order(*texts: str) -> Fact:
    """The texts follow each other."""

    def holds(parsed: Parsed) -> bool:
        at = [_said(parsed).find(_flat(text)) for text in texts]
        return min(at) >= 0 and at == sorted(at)

    return Fact(f"in order: {' … '.join(texts)}", holds)


def row(*cells: str) -> Fact:
    """The cells are on one line, in this order: a row of a table with the names of its columns."""

    def holds(parsed: Parsed) -> bool:
        return any(_in_order(line, cells) for line in parsed.text.splitlines())

    return Fact(f"a row: {' | '.join(cells)}", holds)


def heading(text: str) -> Fact:
    """The text is a heading."""
    return Fact(
        f"heading “{text}”",
        lambda parsed: any(
            block.kind is Kind.HEADING and block.heading == text for block in parsed.blocks
        ),
    )


def page(number: int, text: str) -> Fact:
    """The text is cited with its page or slide."""
    return Fact(f"“{text}” on page {number}", lambda parsed: _holding(parsed, text).page == number)


def rows(sheet: str, number: int, text: str) -> Fact:
    """The text is cited with its sheet and row."""

    def holds(parsed: Parsed) -> bool:
        place = _holding(parsed, text).location
        return (
            place is not None
            and place.sheet == sheet
            and place.first_row <= number <= place.last_row
        )

    return Fact(f"“{text}” in row {number} of {sheet or 'the file'}", holds)


def attached(name: str, text: str) -> Fact:
    """The text is cited with its attachment."""

    def holds(parsed: Parsed) -> bool:
        place = _holding(parsed, text).location
        return place is not None and place.attachment == name

    return Fact(f"“{text}” in {name}", holds)


def unread(reason: str, *pages: int) -> Fact:
    """What was not read is said, with its pages."""
    return Fact(
        f"says {reason} {list(pages)}",
        lambda parsed: (reason, pages) in [(one.reason, one.pages) for one in parsed.unread],
    )


def _said(parsed: Parsed) -> str:
    """What is searched of the document, on one line."""
    return _flat("\n".join(parsed.text[block.start : block.end] for block in parsed.blocks))


def _flat(text: str) -> str:
    return " ".join(text.split())


def _in_order(line: str, cells: Sequence[str]) -> bool:
    at = 0
    for cell in cells:
        found = line.find(cell, at)
        if found < 0:
            return False
        at = found + len(cell)
    return True


def _holding(parsed: Parsed, text: str) -> Chunk:
    """The passage with the text; an empty one if there is none."""
    found = (one for one in chunk(parsed, _SMALL) if text in one.text)
    return next(found, Chunk(0, "", 0, 0, 0, 0))
