"""Plain text: paragraphs set off by blank lines."""

import re

from rag_retriever.formats.parsed import PLAIN, Block, Limits, Parsed, normalised


def parse(text: str, limits: Limits) -> Parsed:
    """The text as it is, in NFC, one block a paragraph."""
    text = normalised(text, limits)
    return Parsed("", text, tuple(paragraphs(text, 0, len(text))), PLAIN)


def paragraphs(text: str, start: int, end: int) -> list[Block]:
    """The paragraphs among the code points [start, end) of the text."""
    return [Block(*found.span()) for found in _PARAGRAPH.finditer(text, start, end)]


# A run of lines that are not blank; it begins and ends with a character that shows.
_PARAGRAPH = re.compile(r"\S[^\n\r]*(?:(?:\r\n|\r|\n)[^\S\n\r]*\S[^\n\r]*)*(?<=\S)")
