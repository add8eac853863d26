"""Parses plain text: paragraphs separated by blank lines, and tables by delimiters (CSV, TSV)."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence

from rag_ingestor.parsing.parsed import (
    PLAIN,
    Block,
    Kind,
    Limits,
    Parsed,
    normalise,
    replace_tables,
)
from rag_ingestor.parsing.tables import has_head, is_usual_name, table_text

_LONGEST_CELL, _SHORT_CELL = 80, 20
# The number of lines that are first checked for being a table.
_SAMPLE = 20
# The minimum number of lines, with the header, whose equal number of short cells is significant.
_MANY, _MANY_SPACED = 5, 12
_STOP = re.compile(r"[.!?。]$|[니한된이있없했었]다$|[세어아해]요$")
_PIPES = re.compile(r"[\s:|-]*")
_DIGIT = re.compile(r"\d")
# “3시에”, “2층까지”: a number in a sentence.
_IN_SENTENCE = re.compile(r"\d[가-힣]{0,8}(?:에서?|까지|부터|[은는을를])$")
_LINK_WORD = re.compile(r"[a-z]+")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
# Common column names that prose may begin with too.
_ASKING = frozenset({"who", "what"})


def delimited_rows(lines: Sequence[str]) -> list[list[str]] | None:
    """The cells of lines that are a table separated by tabs, commas, semicolons or bars; else None.

    The first line must name the columns and all lines must have equally many cells; quoted cells may
    contain the delimiter. Cells must be short, must not be sentences, and must provide evidence of a table.
    """
    if len(lines) < 2:
        return None
    if lines[0].lstrip().startswith("|") and _is_rule(lines[1]):
        return [_bars(line) for line in (lines[0], *lines[2:])]
    for delimiter in "\t,;|":
        if delimiter not in lines[0] or not _agree(lines[:_SAMPLE], delimiter):
            continue
        rows = [list(row) for row in _cells(lines, delimiter)]
        # The added cell makes `has_head` treat two columns like more, since this is known to be a table.
        if len({len(row) for row in rows}) > 1 or not has_head([[*row, ""] for row in rows]):
            continue
        if _is_evident(lines, rows, delimiter):
            return rows
    return None


def _is_rule(line: str) -> bool:
    return "-" in line and _PIPES.fullmatch(line.strip()) is not None


def _agree(lines: Sequence[str], delimiter: str) -> bool:
    rows = list(_cells(lines, delimiter))
    columns = len(rows[0])
    if columns < 2 or any(len(row) != columns for row in rows):
        return False
    cells = [cell for row in rows for cell in row]
    if any(len(cell) > _LONGEST_CELL or _STOP.search(cell) for cell in cells):
        return False
    # Two columns or two lines may be accidental, unlikely with tabs, likely with commas and spaces.
    return delimiter == "\t" or len(rows) + columns >= 5 + (f"{delimiter} " in lines[0])


def _is_evident(lines: Sequence[str], rows: Sequence[Sequence[str]], delimiter: str) -> bool:
    """Whether there is evidence of a table with a header besides the number of cells."""
    if delimiter == "\t" and len(rows[0]) > 2:
        return True
    columns = list(zip(*rows, strict=True))
    spaced = delimiter in ",;" and any(f"{delimiter} " in _QUOTED.sub("", line) for line in lines)
    if any(all(map(_is_typed, column[1:])) for column in columns) and len(rows) > 1 + spaced:
        return len(columns) > 2 or has_head(rows)
    if len(columns) == 2 and not has_head(rows) and len(rows) < _MANY:
        return False
    if not spaced and all(_has_quoted_cell(line, delimiter) for line in lines[1:]):
        return True
    usual = sum(is_usual_name(name) and name.lower() not in _ASKING for name in rows[0])
    return usual > spaced or _is_regular(columns, _MANY_SPACED if spaced else _MANY)


def _is_regular(columns: Sequence[Sequence[str]], min_rows: int) -> bool:
    """Whether there are `min_rows` rows of short cells, and no cell repeats its column's name."""
    return all(
        len(column) >= min_rows
        and column[0] not in column[1:]
        and all(len(cell) <= _SHORT_CELL for cell in column)
        for column in columns
    )


def _is_typed(cell: str) -> bool:
    """Whether the cell is a number with its unit, a date, or an identifier; not part of a sentence.

    Allows one more word, before the number (내선 3300, Room 5) or after it (190 euros).
    """
    words = cell.split()
    numbers = [at for at, word in enumerate(words) if _DIGIT.search(word)]
    if not numbers or len(words) - len(numbers) > 1 or len(cell) > _SHORT_CELL:
        return False
    if numbers[0] and _LINK_WORD.fullmatch(words[0]):
        return False
    return not _IN_SENTENCE.search(cell)


def _has_quoted_cell(line: str, delimiter: str) -> bool:
    edge = re.escape(delimiter)
    return re.search(rf"(?:^|{edge}){_QUOTED.pattern}(?:{edge}|$)", line.strip()) is not None


def _cells(lines: Iterable[str], delimiter: str) -> Iterable[list[str]]:
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    try:
        yield from ([cell.strip() for cell in row] for row in reader)
    except csv.Error:
        yield []


def _bars(line: str) -> list[str]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [cell.replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", inner)]


def parse(text: str, limits: Limits) -> Parsed:
    """The text in NFC, one block per paragraph; tables, detected by their cells, are rewritten row by row.

    Text without tables stays unchanged.
    """
    text = normalise(text, limits)
    blocks, tables = [], {}
    for paragraph in paragraphs(text, 0, len(text)):
        for block, rows in _cut(text, paragraph):
            blocks.append(block)
            if rows:
                tables[block.start] = table_text(rows, head=True)
    text, blocks = replace_tables(text, blocks, tables)
    return Parsed("", normalise(text, limits), tuple(blocks), PLAIN)


def paragraphs(text: str, start: int, end: int) -> list[Block]:
    """The paragraphs among the code points [start, end) of the text."""
    return [Block(*match.span()) for match in _PARAGRAPH.finditer(text, start, end)]


# A run of non-blank lines, from its first to its last visible character.
_PARAGRAPH = re.compile(r"\S[^\n\r]*(?:(?:\r\n|\r|\n)[^\S\n\r]*\S[^\n\r]*)*(?<=\S)")
_LINE = re.compile(r"[^\n\r]+")


def _cut(text: str, block: Block) -> Iterator[tuple[Block, list[list[str]] | None]]:
    """The paragraph, or the table that it is, preceded by the table's title line if there is one."""
    spans = [match.span() for match in _LINE.finditer(text, block.start, block.end)]
    lines = [text[start:end] for start, end in spans]
    rows = delimited_rows(lines)
    if rows is None and len(lines) > 3 and (rows := delimited_rows(lines[1:])):
        yield Block(*spans[0]), None
        block = Block(spans[1][0], block.end, Kind.LINES)
    yield block, rows
