"""The rule of document ids is what its sentence says."""

import sys
from unicodedata import category, normalize

import pytest

from rag_contract.document_ids import ENGLISH, KOREAN, MAX_BYTES, canonical, is_document_id
from tests.support.document_ids import BAD, GOOD


@pytest.mark.parametrize("name", GOOD.values(), ids=GOOD)
def test_what_can_be_an_id(name: str) -> None:
    assert is_document_id(name)


@pytest.mark.parametrize("name", BAD.values(), ids=BAD)
def test_what_cannot_be_an_id(name: str) -> None:
    assert not is_document_id(name)


def test_every_character_of_unicode_is_taken_or_refused_by_its_category() -> None:
    for code in range(sys.maxunicode + 1):
        kind = category(chr(code))
        refused = kind[0] == "C" or kind in ("Zl", "Zp")
        assert is_document_id(f"a{chr(code)}") != refused, hex(code)


def test_the_size_is_that_of_the_composed_form() -> None:
    """256 syllables of three letters have 2,304 bytes decomposed."""
    composed = "한" * 170
    decomposed = normalize("NFD", composed)
    assert len(decomposed.encode()) > MAX_BYTES
    assert is_document_id(decomposed)
    assert canonical(decomposed) == composed
    assert not is_document_id(normalize("NFD", "한" * 171))


@pytest.mark.parametrize("size", [0, 10**3, 10**6])
def test_no_text_and_one_that_is_far_too_long_are_refused_at_once(size: int) -> None:
    assert not is_document_id("\u0301" * size)


def test_the_sentences_fit_into_a_status() -> None:
    assert max(len(output.encode()) for output in (ENGLISH, KOREAN)) <= 256
