"""Parses Markdown (CommonMark with tables): the source is the text, headings and blocks its structure.

Only tables are rewritten, row by row.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

from markdown_it import MarkdownIt
from markdown_it.token import Token

from rag_ingestor.parsing.parsed import (
    MARKDOWN,
    Block,
    Kind,
    Limits,
    Parsed,
    normalise,
    replace_tables,
    single_line,
)
from rag_ingestor.parsing.plain import paragraphs
from rag_ingestor.parsing.tables import table_text


def cell_text(source: str) -> str:
    """A cell's text without emphasis marks, code marks and link addresses; keeps escaped marks."""
    bare = _LINK.sub(r"\1", _LINE_BREAK.sub(" ", source))
    return _without_marks(bare).replace("\\|", "|")


def link_text(source: str) -> str:
    """The source with each inline link or image replaced by its text."""
    return _LINK.sub(r"\1", source)


_LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_LINK = re.compile(r"!?\[([^\]\[]{0,300})\]\([^)]{0,500}\)")
_RUN = re.compile(r"\\.|\*+|_+|~+|`+")
# CommonMark: emphasis (1), strong emphasis (2), both at once (3); GFM: struck through (2).
_LENGTHS = {"*": (1, 2, 3), "_": (1, 2, 3), "~": (2,)}


@dataclass(frozen=True, slots=True)
class _Mark:
    """A run of identical marks, code points [start, end) of the cell."""

    text: str
    start: int
    end: int
    opens: bool
    closes: bool


def _marks(source: str) -> list[_Mark]:
    """The runs that may open or close markup: those at a word boundary, unlike in `snake_case`."""
    marks = []
    for run in _RUN.finditer(source):
        kind = run[0][0]
        if kind == "\\" or len(run[0]) not in _LENGTHS.get(kind, (len(run[0]),)):
            continue
        before, after = source[run.start() - 1 : run.start()], source[run.end() : run.end() + 1]
        opens = bool(after.strip()) and not _in_word(kind, before)
        closes = bool(before.strip()) and not _in_word(kind, after)
        if opens or closes:
            marks.append(_Mark(run[0], run.start(), run.end(), opens, closes))
    return marks


def _in_word(kind: str, char: str) -> bool:
    """Whether the mark next to `char` is inside a word; Korean particles may follow all marks but `_`."""
    return char.isalnum() and (kind == "_" or char.isascii())


def _without_marks(source: str) -> str:
    """The source without paired marks; each mark is pushed and popped once."""
    marks = _marks(source)
    code = _code_ends(marks)
    dropped: list[_Mark] = []
    opened: list[_Mark] = []
    waiting: Counter[str] = Counter()
    at = 0
    while at < len(marks):
        mark = marks[at]
        if at in code:
            dropped += mark, marks[code[at]]
            at = code[at]
        elif mark.text[0] != "`":
            if mark.closes and waiting[mark.text]:
                dropped += _opener(mark, opened, waiting), mark
            elif mark.opens:
                opened.append(mark)
                waiting[mark.text] += 1
        at += 1
    return _cut(source, sorted(dropped, key=lambda mark: mark.start))


def _opener(closer: _Mark, opened: list[_Mark], waiting: Counter[str]) -> _Mark:
    """The last open mark of the closer's kind; those opened after it are left as text."""
    while True:
        mark = opened.pop()
        waiting[mark.text] -= 1
        if mark.text == closer.text:
            return mark


def _code_ends(marks: Sequence[_Mark]) -> dict[int, int]:
    """For each run of backticks that opens a code span, the index of the run that closes it."""
    ends: dict[int, int] = {}
    following: dict[str, int] = {}
    for at in range(len(marks) - 1, -1, -1):
        mark = marks[at]
        if mark.text[0] != "`":
            continue
        if mark.opens and mark.text in following:
            ends[at] = following[mark.text]
        if mark.closes:
            following[mark.text] = at
    return ends


def _cut(source: str, marks: Sequence[_Mark]) -> str:
    at, parts = 0, []
    for mark in marks:
        parts.append(source[at : mark.start])
        at = mark.end
    return "".join([*parts, source[at:]])


def parse(text: str, limits: Limits) -> Parsed:
    """The source in NFC; a front matter provides the title and belongs to no block."""
    text = normalise(text, limits)
    matter = _FRONT_MATTER.match(text)
    title = _TITLE.search(matter[1]) if matter else None
    tables: dict[int, str] = {}
    blocks = list(_blocks(text, matter.end() if matter else 0, tables))
    text, blocks = replace_tables(text, blocks, tables)
    name = single_line(title[1]).strip("\"'") if title else ""
    return Parsed(name, normalise(text, limits), tuple(blocks), MARKDOWN)


_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n((?:[^\n]*\n){0,200}?)(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)")
_TITLE = re.compile(r"^title:[ \t]*(\S[^\n]*)", re.MULTILINE)
_LINE_END = re.compile(r"\r\n|\r|\n")
_MARKUP = re.compile(r"\*+|`+|__+|~~|\{#[^}]{0,100}\}\s*$")
_LINES = ("fence", "code_block")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_BACKTICKS = re.compile("`+")


def _blocks(text: str, begin: int, tables: dict[int, str]) -> Iterator[Block]:
    """The blocks in order; adds to `tables` the replacement text of each table by its block's start."""
    starts = [begin, *(line_end.end() for line_end in _LINE_END.finditer(text, begin)), len(text)]
    tokens = _parser().parse(text[begin:])
    end = begin
    inner = _tables(tokens)
    for token, inline in zip(tokens, [*tokens[1:], *tokens[-1:]], strict=True):
        if token.level or token.map is None or token.nesting < 0:
            continue
        start, stop = (starts[min(line, len(starts) - 1)] for line in token.map)
        # Text that the parser consumes without a token, mainly link definitions.
        yield from paragraphs(text, end, start)
        for first, last, rows in _within(inner, *token.map):
            above, below = (starts[min(line, len(starts) - 1)] for line in (first, last))
            yield from _block(text, start, above, token, inline)
            for block in _block(text, above, below, token, inline):
                tables[block.start] = table_text(rows, head=True)
                yield block
            start = below
        yield from _block(text, start, stop, token, inline)
        end = max(end, stop)
    yield from paragraphs(text, end, len(text))


_Table = tuple[int, int, list[list[str]]]


def _tables(tokens: Sequence[Token]) -> list[_Table]:
    """First line, line after the last, and cells of each table, including nested ones."""
    result: list[_Table] = []
    for at, token in enumerate(tokens):
        if token.type == "table_open" and token.map:
            result.append((token.map[0], token.map[1], []))
        elif token.type == "tr_open":
            result[-1][2].append([])
        elif token.type in ("th_open", "td_open"):
            result[-1][2][-1].append(cell_text(tokens[at + 1].content))
    return result


def _within(tables: Sequence[_Table], first: int, stop: int) -> Sequence[_Table]:
    """The tables that begin on the lines [first, stop); `tables` are in order."""
    begin, end = (bisect_left(tables, line, key=itemgetter(0)) for line in (first, stop))
    return tables[begin:end]


def _parser() -> MarkdownIt:
    # Inline rules are disabled: offsets do not need them, and they may take quadratic time.
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
    elif token.type in _LINES:
        yield Block(start, end, Kind.LINES)
    else:
        yield from _without_comments(text, start, end)


def _without_comments(text: str, start: int, end: int) -> Iterator[Block]:
    """What stands around comments, which are no text for readers; code may quote them."""
    code = _code_spans(text, start, end) if text.find("<!--", start, end) >= 0 else []
    at = start
    for comment in _COMMENT.finditer(text, start, end):
        before = bisect_left(code, (comment.start(), 0)) - 1
        if before >= 0 and comment.start() < code[before][1]:
            continue
        yield from _text_block(text, at, comment.start())
        at = comment.end()
    yield from _text_block(text, at, end)


def _code_spans(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Code in a line, and fences within lists and quotations: between runs of as many backticks."""
    runs = [
        _Mark(run[0], run.start(), run.end(), opens=True, closes=True)
        for run in _BACKTICKS.finditer(text, start, end)
    ]
    closing = _code_ends(runs)
    spans = []
    at = 0
    while at < len(runs):
        if at in closing:
            spans.append((runs[at].start, runs[closing[at]].end))
            at = closing[at]
        at += 1
    return spans


def _text_block(text: str, start: int, end: int) -> Iterator[Block]:
    piece = text[start:end]
    if piece.strip():
        begin = start + len(piece) - len(piece.lstrip())
        yield Block(begin, start + len(piece.rstrip()))


def _heading(source: str) -> str:
    return single_line(_MARKUP.sub("", link_text(_COMMENT.sub("", source))))
