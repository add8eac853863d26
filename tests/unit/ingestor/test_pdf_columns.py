"""Columns of a page are read one after the other; tables and text across the page stay as they are."""

from collections.abc import Sequence

from rag_ingestor.parsing.pdf_columns import Segment, SplitLine, in_reading_order

SIZE = 12.0


def read(*rows: Sequence[tuple[float, str]], heights: Sequence[float] = ()) -> list[str]:
    """The lines in order, of rows of pieces that begin at these places; a character is 6 points wide."""
    lines = [
        SplitLine(
            tuple(Segment(left, left + 6 * len(text), text) for left, text in row),
            heights[at] if heights else 700 - 16 * at,
            SIZE,
        )
        for at, row in enumerate(rows)
    ]
    return [line.text for line in in_reading_order(lines)]


def pair(at: int) -> list[tuple[float, str]]:
    return [(60, f"the left column has line {at}"), (320, f"the right column has line {at}")]


LEFT = [f"the left column has line {at}" for at in range(5)]
RIGHT = [f"the right column has line {at}" for at in range(5)]


def test_each_column_is_read_by_itself() -> None:
    assert read(*map(pair, range(5))) == [*LEFT, *RIGHT]


def test_text_across_the_page_stands_before_and_after_the_columns() -> None:
    across = [
        (60, "A heading or a sentence that runs across the whole of the page, over both columns.")
    ]
    assert read(across, *map(pair, range(5)), across) == [across[0][1], *LEFT, *RIGHT, across[0][1]]


def test_a_column_may_be_longer_than_the_other() -> None:
    rows = [pair(at) for at in range(5)]
    assert (
        read(*rows, [(320, "and then one more line of it")])[-1] == "and then one more line of it"
    )
    assert read(*rows, [(60, "and then one more line of it")])[5] == "and then one more line of it"


def test_what_stands_apart_below_columns_is_none_of_them() -> None:
    rows = [*map(pair, range(5)), [(60, "a note at the foot of it")]]
    heights = [700.0, 684.0, 668.0, 652.0, 636.0, 100.0]
    assert read(*rows, heights=heights)[-1] == "a note at the foot of it"


def test_cells_of_a_table_are_no_columns() -> None:
    rows = [[(60, f"item {at}"), (320, f"{at},000")] for at in range(6)]
    assert read(*rows) == [f"item {at} {at},000" for at in range(6)]
    named = [
        [(60, "name"), (320, "a long description of the thing that is named")] for _ in range(6)
    ]
    assert read(*named) == ["name a long description of the thing that is named"] * 6


def test_a_few_lines_side_by_side_are_no_columns() -> None:
    assert read(*map(pair, range(3))) == [
        f"{left} {right}" for left, right in zip(LEFT[:3], RIGHT[:3], strict=True)
    ]


def test_three_columns() -> None:
    rows = [
        [(60 + 200 * at, f"column {at} in its line {row}!") for at in range(3)] for row in range(4)
    ]
    assert read(*rows) == [f"column {at} in its line {row}!" for at in range(3) for row in range(4)]
