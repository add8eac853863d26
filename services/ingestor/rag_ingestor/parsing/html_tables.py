"""Collects an HTML table's cells in a grid while it is parsed, and which of them are header cells."""

from dataclasses import dataclass, field

from lxml import etree

from rag_ingestor.parsing.tables import table_text

# HTML allows spans of 1000 columns and 65534 rows; tables with such spans carry no data.
_MAX_COLUMNS, _MAX_ROWS = 100, 1000


@dataclass(slots=True)
class Table:
    """A table's cells row by row. `nested`: it contains another table, so it serves for layout only."""

    caption: str = ""
    nested: bool = False
    _rows: list[list[str]] = field(default_factory=list)
    _heads: list[list[bool]] = field(default_factory=list)
    _spanning: dict[int, tuple[int, str, bool]] = field(default_factory=dict)
    _reaching: dict[int, tuple[int, str, bool]] = field(default_factory=dict)
    _open: bool = False

    def add(self, node: etree._Element, text: str) -> None:
        """Append a cell to the current row, in each of the rows and columns that it spans."""
        self._begin()
        head = node.tag == "th"
        columns = _number(node.get("colspan"), _MAX_COLUMNS)
        rows = _number(node.get("rowspan"), _MAX_ROWS)
        for _ in range(columns):
            self._put(text, head)
            if rows > 1:
                self._spanning[len(self._rows[-1]) - 1] = (rows - 1, text, head)
            self._fill()

    def end_row(self) -> None:
        """End the current row, if any."""
        self._open = False

    def text(self) -> str:
        """The table as text, row by row; each cell with its column's header or the header cell before it."""
        if self.nested:
            return "\n".join(" | ".join(filter(None, row)) for row in self._rows if any(row))
        if self._in_pairs():
            return "\n".join(map(_pairs, self._rows))
        return table_text(self._rows, self._has_head())

    def _begin(self) -> None:
        if not self._open:
            self._open = True
            self._rows.append([])
            self._heads.append([])
            self._reaching, self._spanning = self._spanning, {}
            self._fill()

    def _put(self, text: str, head: bool) -> None:
        self._rows[-1].append(text)
        self._heads[-1].append(head)

    def _fill(self) -> None:
        """Insert cells of rows above that span into the next columns of this row."""
        while (at := len(self._rows[-1])) in self._reaching:
            left, text, head = self._reaching.pop(at)
            if left > 1:
                self._spanning[at] = (left - 1, text, head)
            self._put(text, head)

    def _has_head(self) -> bool | None:
        if self._heads and self._heads[0] and all(self._heads[0]):
            return True
        rows_named = all(heads and heads[0] for heads in self._heads)
        return False if rows_named and max(map(len, self._rows), default=0) == 2 else None

    def _in_pairs(self) -> bool:
        """Whether every row alternates header and value cells, as forms do."""
        return bool(self._heads) and all(
            heads and heads == [True, False] * (len(heads) // 2) for heads in self._heads
        )


def _pairs(row: list[str]) -> str:
    names, values = row[::2], row[1::2]
    pairs = zip(names, values, strict=True)
    return " · ".join(f"{name.rstrip(':：')}: {value}" for name, value in pairs if name and value)


def _number(value: str | None, maximum: int) -> int:
    return (
        min(maximum, int(value))
        if value and value.isascii() and value.isdigit() and int(value)
        else 1
    )
