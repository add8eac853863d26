"""Identifiers and dates as canonical terms."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_common.text.identifiers import identifiers


def first(text: str) -> list[str]:
    """The most exact term of each."""
    return [one.terms[0] for one in identifiers(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("품목 ABX-1240의 안내", ["abx-1240"]),
        ("ABX1240, ABX-1240-R2와 ABX-12040", ["abx1240", "abx-1240-r2", "abx-12040"]),
        ("1.2.3판과 1.2.30판, 3.0.0-beta2", ["1.2.3", "1.2.30", "3.0.0-beta2"]),
        ("한빛-3호와 한빛-13호", ["한빛-3", "한빛-13"]),
        ("NOR.0707-60, QT/55-K", ["nor.0707-60", "qt/55-k"]),
        ("전화 02-555-0142 또는 1588-0199로", ["02-555-0142", "1588-0199"]),
        ("hr.help@example.com로", ["hr.help@example.com"]),
        ("C++로, C#으로, .NET 8, R&D, 5G, H2O2", ["c++", "c#", ".net", "r&d", "5g", "h2o2"]),
    ],
)
def test_an_identifier_is_one_term(text: str, expected: list[str]) -> None:
    assert first(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-05",
        "2026.3.5",
        "2026. 3. 5.",
        "2026/03/05",
        "2026년 3월 5일",
        "2026년3월5일에",
        "March 5, 2026",
        "Mar. 5, 2026",
        "5 March 2026",
        "the 5th of March 2026",
    ],
)
def test_a_date_is_the_same_in_every_notation(text: str) -> None:
    [date] = identifiers(text)
    assert date.terms == ("2026-03-05", "--03-05", "2026-03")


@pytest.mark.parametrize(
    ("text", "terms"),
    [("3월 5일", "--03-05"), ("2026년 3월", "2026-03"), ("March 2026", "2026-03")],
)
def test_a_part_of_a_date_is_a_term_of_its_own(text: str, terms: str) -> None:
    assert first(text) == [terms]


@pytest.mark.parametrize(
    "text",
    ["3.14", "10-12", "24/7", "and/or", "10:30", "150%", "3층", "500,000", "well-known", "KTX"],
)
def test_numbers_and_words_are_no_identifiers(text: str) -> None:
    assert first(text) == []


@pytest.mark.parametrize("text", ["2026-13-05", "2026년 3월 45일", "0월 5일"])
def test_what_is_not_in_the_calendar_is_no_date(text: str) -> None:
    assert not any(term.startswith(("2026-1", "--")) for term in first(text) if len(term) > 10)


@given(st.text(alphabet="aA1.-/@&가년월일 2026", max_size=80))
def test_identifiers_are_in_order_and_do_not_overlap(text: str) -> None:
    end = 0
    for one in identifiers(text):
        assert end <= one.start < one.end <= len(text)
        assert one.terms
        end = one.end


@pytest.mark.parametrize("piece", ["a-", "1.", "가", "2026년 ", "A1@", "-1"])
def test_time_is_linear(piece: str) -> None:
    def seconds(times: int) -> float:
        text = piece * times
        began = time.process_time()
        list(identifiers(text))
        return time.process_time() - began

    seconds(1000)
    assert seconds(40_000) < 40 * max(seconds(4_000), 0.002)
