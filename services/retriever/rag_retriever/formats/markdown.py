"""Markdown (CommonMark and tables): the source as text, its headings and blocks as structure."""

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

from rag_retriever.formats.parsed import MARKDOWN, Block, Kind, Limits, Parsed, normalised, squeezed
from rag_retriever.formats.plain import paragraphs


def parse(text: str, limits: Limits) -> Parsed:
    """The source in NFC; a front matter gives the title and belongs to no block."""
    text = normalised(text, limits)
    matter = _FRONT_MATTER.match(text)
    title = _TITLE.search(matter[1]) if matter else None
    blocks = tuple(_blocks(text, matter.end() if matter else 0))
    return Parsed(squeezed(title[1]).strip("\"'") if title else "", text, blocks, MARKDOWN)


_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n((?:[^\n]*\n){0,200}?)(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)")
_TITLE = re.compile(r"^title:[ \t]*(\S[^\n]*)", re.MULTILINE)
_LINE_END = re.compile(r"\r\n|\r|\n")
_LINK = re.compile(r"!?\[([^\]\[]{0,300})\]\([^)]{0,500}\)")
_MARKUP = re.compile(r"\*+|`+|__+|~~|\{#[^}]{0,100}\}\s*$")
_LINES = ("fence", "code_block", "table_open")


def _blocks(text: str, begin: int) -> Iterator[Block]:
    starts = [begin, *(found.end() for found in _LINE_END.finditer(text, begin)), len(text)]
    tokens = _parser().parse(text[begin:])
    end = begin
    for token, inline in zip(tokens, [*tokens[1:], *tokens[-1:]], strict=True):
        if token.level or token.map is None or token.nesting < 0:
            continue
        start, stop = (starts[min(line, len(starts) - 1)] for line in token.map)
        # What the parser consumes without a token, link definitions above all, is text too.
        yield from paragraphs(text, end, start)
        yield from _block(text, start, stop, token, inline)
        end = max(end, stop)
    yield from paragraphs(text, end, len(text))


def _parser() -> MarkdownIt:
    # Inline rules are left out: offsets need none, and they are where parsers turn quadratic.
    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


def _block(text: str, start: int, end: int, token: Token, inline: Token) -> Iterator[Block]:
    piece = text[start:end]
    end = start + len(piece.rstrip())
    start += len(piece) - len(piece.lstrip())
    if start >= end:
        return
    if token.type == "heading_open":
        yield Block(start, end, Kind.HEADING, int(token.tag[1]), _heading(inline.content))
    else:
        yield Block(start, end, Kind.LINES if token.type in _LINES else Kind.TEXT)


def _heading(source: str) -> str:
    return squeezed(_MARKUP.sub("", _LINK.sub(r"\1", source)))
