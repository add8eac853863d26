"""Renders tables as text that is readable row by row: each cell with the name of its column.

A row is meaningless without the table's header, and a long table is cut into many passages. So the
header is repeated in each row: `Item: Lodging · Condition: Seoul · Amount: 100`.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

_BETWEEN = " · "
# Separates columns without names, and cells of layout tables.
_PLAIN_BETWEEN = " | "
_DIGIT = re.compile(r"\d")
_LONGEST_NAME = 40
# A longer cell of a declared header is not a name; repeated in each row it would exhaust memory.
_LONGEST_REPEATED = 200
# A year, a quarter or a month may name a column, though it is a number: 2023년, 1분기, Q2, 3월.
_PERIOD = re.compile(
    r"(?:19|20)\d\d(?: ?년도?)?|\d{1,2} ?월|[1-4] ?(?:분기|/ ?4 ?분기)|[1-4] ?[차회]"
    r"|Q[1-4]|[1-4]Q|FY ?\d{2,4}",
    re.IGNORECASE,
)
_GENERIC = re.compile(
    r"구분|항목|이름|성명|명칭|종류|분류|내용|값|비고|번호|품목|이유|사유|대상|기준|설명|용도|담당"
    r"|item|name|value|type|kind|category|description|note|remarks?|key|field|who|what|no\.?",
    re.IGNORECASE,
)


def table_text(rows: Sequence[Sequence[str]], head: bool | None = None) -> str:
    """The rows of a table without its header, one per line; see `table_lines`."""
    return "\n".join(line for _, line in table_lines(rows, head))


def table_lines(rows: Sequence[Sequence[str]], head: bool | None = None) -> list[tuple[int, str]]:
    """A line for each row of a table but its header, with the row's index; empty cells are omitted.

    `head`: whether the first row names the columns; None detects it by the cells. Two columns without
    a header are keys and values. A table that consists only of a header becomes one line.
    """
    single_line = [[" ".join(cell.split()) for cell in row] for row in rows]
    if (
        head
        and single_line
        and not 0 < max(map(len, single_line[0]), default=0) <= _LONGEST_REPEATED
    ):
        head = False
    places = [at for at, row in enumerate(single_line) if any(row)]
    clean = [single_line[at] for at in places]
    if not clean:
        return []
    if max(map(len, clean)) == 1:
        return [(at, row[0]) for at, row in zip(places, clean, strict=True)]
    spanned = head is not False and _spans(clean)
    if spanned:
        head = head or not any(map(is_number, clean[0])) or None
        clean = [_merge_rows(clean[0], clean[1]), *clean[2:]]
        del places[1]
    if head is None:
        head = has_head(clean)
    if head and len(clean) == 1:
        return [(places[0], _PLAIN_BETWEEN.join(filter(None, clean[0])))]
    names = clean[0] if head else ()
    first = int(bool(head))
    return [(at, _line(names, row)) for at, row in zip(places[first:], clean[first:], strict=True)]


def has_head(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row looks like column names: short, distinct, without numbers but those of periods.

    A row that begins with a period (2023년, 1분기) is one of data. Two columns also require numbers in the
    second column, or a common name (구분, Item).
    """
    first, rest = rows[0], rows[1:]
    names = [name for name in first if name]
    short = all(len(name) <= _LONGEST_NAME for name in names)
    if _has_data(rows) or (first[0] and _PERIOD.fullmatch(first[0])):
        return False
    if not rest or not short or len(names) < len(first) - 1 or len(set(names)) < len(names):
        return False
    if len(first) > 2:
        return True
    typed = sum(bool(_DIGIT.search(row[-1])) for row in rest if row)
    usual = any(map(is_usual_name, names))
    return usual or (len(rest) > 1 and typed == len(rest) and not _are_keys(rows))


def _has_data(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row has a number, which is none of a period or has such below it."""
    return any(
        is_number(cell)
        or (
            _PERIOD.fullmatch(cell) is not None
            and any(at < len(row) and _PERIOD.fullmatch(row[at]) for row in rows[1:])
        )
        for at, cell in enumerate(rows[0])
    )


def is_number(cell: str) -> bool:
    """Whether a cell has a number that is not that of a period (2023년, 1분기), which may be a name."""
    return _DIGIT.search(cell) is not None and _PERIOD.fullmatch(cell) is None


def is_usual_name(name: str) -> bool:
    """Whether this is a common column name (구분, Item)."""
    return _GENERIC.fullmatch(name) is not None


def _spans(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the header has two rows: a name spanning several columns, and names below it."""
    if len(rows) < 3 or len(rows[0]) != len(rows[1]):
        return False
    wide = any(left and left == right for left, right in pairwise(rows[0]))
    short = all(len(cell) <= _LONGEST_NAME for cell in (*rows[0], *rows[1]))
    return wide and short and not _has_data(rows[1:])


def _merge_rows(upper: Sequence[str], lower: Sequence[str]) -> list[str]:
    pairs = zip(upper, lower, strict=True)
    return [over if over == name else f"{over} {name}".strip() for over, name in pairs]


def _are_keys(rows: Sequence[Sequence[str]]) -> bool:
    """Whether all values differ in form: then the first column contains their names."""
    shapes = {_DIGIT.sub("0", row[-1]) for row in rows[1:] if row}
    return len(shapes) == len(rows) - 1


def _line(names: Sequence[str], row: Sequence[str]) -> str:
    if not names and len(row) == 2 and all(row):
        return f"{row[0].rstrip(':：')}: {row[1]}"
    named = [(names[at] if at < len(names) else "", cell) for at, cell in enumerate(row) if cell]
    separator = _BETWEEN if names else _PLAIN_BETWEEN
    return separator.join(f"{name.rstrip(':：')}: {cell}" if name else cell for name, cell in named)
