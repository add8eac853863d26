"""Which language a caller is told in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_contract.languages import prefers_korean


@pytest.mark.parametrize(
    "header",
    [
        "ko",
        "ko-KR",
        "KO_kr",
        " ko ; q=1 , en",
        "en;q=0.8, ko-KR",
        "en;q=0.8,ko;q=0.9",
        "fr, ko;q=0.2",
        "ko, en",
        "ko, *",
        "en;q=0.1, *",
        "en;q=0, ko;q=0.001",
        "en-US;q=0.3, fr;q=0.9, ko-KR-x;q=0.4",
        "q=!, ko",
    ],
)
def test_korean_where_it_weighs_most_of_the_two(header: str) -> None:
    assert prefers_korean(header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "en",
        "en-US,ko;q=0.5",
        "en, ko",
        "kok-IN",
        "*",
        "*, ko;q=0.1",
        "en, *, ko",
        "fr",
        "ko;q=0",
        "ko;q=0.0, fr",
        "ko;q=nan",
        "ko;q=-1",
        "ko;q=0.5, en;q=0.51",
        "," * 10_000 + "ko",
    ],
)
def test_english_otherwise(header: str) -> None:
    assert not prefers_korean(header)


@given(st.text())
def test_any_header_is_read(header: str) -> None:
    assert prefers_korean(header) in (True, False)
