"""What a Markdown table's cells say without their markup, and that any table is read in linear time."""

import time

import pytest

from rag_ingestor.parsing.markdown import cell_text
from rag_ingestor.parsing.parse import parse

_SIZE = 100_000
# Linear code takes well below a second for these; quadratic code takes minutes.
_SECONDS = 10


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("**a** b", "a b"),
        ("**_x_**", "x"),
        ("*a **b** c*", "a b c"),
        ("**한글**은 ~~옛것~~", "한글은 옛것"),
        ("`*x*` and ``a`b``", "*x* and a`b"),
        ("[x](http://a_b_c) _y_", "x y"),
        ("snake_case_x, 2 * 3 * 4, 3*4*5", "snake_case_x, 2 * 3 * 4, 3*4*5"),
        ("*a and **b", "*a and **b"),
        (r"\*a\* b\|c", r"\*a\* b|c"),
        ("**** ~~~x~~~", "**** ~~~x~~~"),
    ],
)
def test_a_cell_keeps_its_words_and_loses_the_marks_that_come_in_pairs(
    source: str, words: str
) -> None:
    assert cell_text(source) == words


_MARKS = (
    "_a ",
    "*a ",
    "***a ",
    "`a ",
    "``a ",
    "~~a ",
    "_a *b ",
    "`",
    "*",
    "[",
    "[](",
    "[a](",
    "<br ",
)
_DELIMITERS = ('"', ',"', '"a",', '"",', '"",x,', "a,", ";", "a; ", "1 ")
_HEAD = "이름,부서,내선\n"


def _cell(text: str) -> str:
    return f"|a|\n|-|\n|{text}|\n"


LONG = {
    **{f"cell of {unit}": ("a.md", _cell(unit * (_SIZE // len(unit)))) for unit in _MARKS},
    "backticks": ("a.md", _cell("".join("`" * (at % 400 + 1) + "a " for at in range(500)))),
    "many tables": ("a.md", "|a|\n|-|\n|b|\n\n" * 4_000),
    "dashes": ("a.txt", f"|a\n|{'-' * _SIZE}x\n|b|"),
    "dashes and bars": ("a.txt", f"|a\n|{'-|' * (_SIZE // 2)}x\n|b|"),
    "spaces": ("a.txt", f"|a\n|{' ' * _SIZE}\n|b|"),
    **{
        f"line of {unit}": ("a.txt", f"{_HEAD}{unit * (_SIZE // len(unit))}\n{unit * 20}\n{unit}")
        for unit in _DELIMITERS
    },
    **{f"lines of {unit}": ("a.csv", _HEAD + (unit * 20 + "\n") * 1_500) for unit in _DELIMITERS},
}


@pytest.mark.parametrize(("filename", "text"), LONG.values(), ids=LONG)
def test_a_table_of_any_marks_is_read_in_linear_time(filename: str, text: str) -> None:
    began = time.process_time()
    parse(text.encode(), filename)
    assert time.process_time() - began < _SECONDS


def test_a_long_cell_of_a_head_is_not_repeated_in_every_row() -> None:
    source = f"|{'a' * 20_000}|b|c|\n|-|-|-|\n" + "|x|y|z|\n" * 500
    text = parse(source.encode(), "a.md").text
    assert len(text) < 2 * len(source)
    assert text.splitlines()[1:] == ["x | y | z"] * 500
