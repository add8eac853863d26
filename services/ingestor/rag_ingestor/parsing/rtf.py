"""Parses RTF: the text by paragraphs, cells of tables separated by bars."""

import re

from striprtf.striprtf import rtf_to_text

from rag_ingestor.parsing import plain, reasons
from rag_ingestor.parsing.parsed import RTF, Limits, Parsed, content_error

_CODE_PAGE = re.compile(rb"\\ansicpg(\d{3,5})")
_EMPTY_LINES = re.compile(r"\n[ \t]*(?=\n)")
_TITLE = re.compile(rb"\{\\title ([^{}\\]{1,500})\}")


def parse(content: bytes, limits: Limits) -> Parsed:
    """The text; a paragraph is one block. Raises InvalidArgument."""
    found = _CODE_PAGE.search(content[:4096])
    encoding = f"cp{found[1].decode()}" if found else "cp1252"
    try:
        text = rtf_to_text(  # type: ignore[no-untyped-call]
            content.decode("latin-1"), encoding=encoding, errors="replace"
        )
    except (LookupError, ValueError, IndexError, KeyError, RecursionError) as error:
        raise content_error(reasons.BROKEN_RTF) from error
    # Each paragraph ends with one line end.
    spaced = _EMPTY_LINES.sub("\n", text).replace("\n", "\n\n")
    parsed = plain.parse(spaced, limits)
    return Parsed("", parsed.text, parsed.blocks, RTF)
