"""The contract of an index: every kind of test of a document's metadata, on every kind of value."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import product

import pytest

from rag_contract.errors import FilterInvalid
from rag_retriever.index.filters import (
    Condition,
    ConditionTest,
    Filter,
    NumberRange,
    OneOf,
    Scope,
    TimeRange,
)
from rag_retriever.index.model import MetadataValue
from rag_retriever.index.ports import Index
from tests.support.contracts.samples import document, found_documents, put

_SEOUL = timezone(timedelta(hours=9))
_DOCUMENTS: dict[str, dict[str, MetadataValue]] = {
    "spring": {"lang": "ko", "year": 2024.0, "on": "2024-04-01T09:00:00+09:00", "draft": False},
    "summer": {"lang": "en", "year": 2024.5, "on": "2024-07-01T00:00:00Z", "draft": True},
    "autumn": {"lang": ["ko", "ja"], "year": [1990.0, 2030.0], "on": "2024-10-01"},
    "winter": {"lang": "2024", "year": -3.0, "on": "no time", "draft": False},
    "empty": {},
}


_CASES: list[tuple[str, ConditionTest, set[str]]] = [
    ("lang", OneOf(("ko",)), {"spring", "autumn"}),
    ("lang", OneOf(("en", "ja", "fr")), {"summer", "autumn"}),
    ("lang", OneOf(("KO",)), set()),
    ("year", OneOf((2024, -3)), {"spring", "winter"}),
    ("year", OneOf((1990,)), {"autumn"}),
    ("lang", OneOf((2024,)), set()),
    ("year", OneOf(("2024",)), set()),
    ("year", NumberRange(2024.0, 2024.5), {"spring", "summer"}),
    ("year", NumberRange(None, 0.0), {"winter"}),
    ("year", NumberRange(2025.0, None), {"autumn"}),
    ("lang", NumberRange(0.0, None), set()),
    ("draft", NumberRange(0.0, 1.0), set()),
    ("draft", OneOf((False,)), {"spring", "winter"}),
    ("draft", OneOf((True,)), {"summer"}),
    ("draft", OneOf((0, 1)), set()),
    ("on", TimeRange(datetime(2024, 4, 1, tzinfo=UTC), None), {"spring", "summer", "autumn"}),
    ("on", TimeRange(None, datetime(2024, 4, 1, tzinfo=UTC)), set()),
    ("on", TimeRange(None, datetime(2024, 4, 1, 9, 0, 1, tzinfo=_SEOUL)), {"spring"}),
    (
        "on",
        TimeRange(datetime(2024, 7, 1, tzinfo=UTC), datetime(2024, 10, 1, tzinfo=UTC)),
        {"summer"},
    ),
    ("year", TimeRange(datetime(1960, 1, 1, tzinfo=UTC), None), set()),
    ("missing", OneOf(("x",)), set()),
    ("missing", NumberRange(0.0, None), set()),
    ("document_id", OneOf(("winter", "empty")), {"winter", "empty"}),
]


async def test_a_condition_finds_and_excludes_exactly_what_it_says(index: Index) -> None:
    await _put_all(index)
    for key, test, expected in _CASES:
        condition = Condition(key, test)
        assert await _names(index, Filter(must=(condition,))) == expected, condition
        assert await _names(index, Filter(should=(condition,))) == expected, condition
        others = set(_DOCUMENTS) - expected
        assert await _names(index, Filter(must_not=(condition,))) == others, condition


async def test_the_parts_of_a_filter_must_all_hold(index: Index) -> None:
    await _put_all(index)
    korean, english = (Condition("lang", OneOf((lang,))) for lang in ("ko", "en"))
    draft = Condition("draft", OneOf((True,)))
    recent = Condition("year", NumberRange(2000.0, None))
    assert await _names(index, Filter(must=(korean, recent))) == {"spring", "autumn"}
    assert await _names(index, Filter(should=(korean, english))) == {"spring", "summer", "autumn"}
    both = Filter(must=(recent,), should=(korean, english), must_not=(draft,))
    assert await _names(index, both) == {"spring", "autumn"}


async def test_a_filter_holds_for_counts_lists_and_passages_too(index: Index) -> None:
    await _put_all(index)
    scope = Scope("team", (), Filter(must=(Condition("lang", OneOf(("ko",))),)))
    assert await index.count(scope) == (2, 2)
    listed, _ = await index.documents(scope, "", 10)
    assert {one.key.document_id for one in listed} == {"spring", "autumn"}
    summer = document("summer").key.point_id("v1", 0)
    assert await index.passages(scope, [summer]) == []
    assert await index.sparse_vectors(scope, [summer]) == {}


async def test_a_metadata_key_named_document_id_does_not_pass_for_the_id(index: Index) -> None:
    await put(index, document("real", metadata={"document_id": "forged"}))
    forged = Filter(must=(Condition("document_id", OneOf(("forged",))),))
    assert await _names(index, forged) == set()


async def test_any_word_can_be_a_key(index: Index) -> None:
    keys = ["한글", "a b", "a.b", "a[0]", "key=s:x", "1:a"]
    await put(index, document("numbered", metadata=dict.fromkeys(keys, 5.0)))
    await put(index, document("other", metadata={f"{key}x": 5.0 for key in keys}))
    for key, test in product(keys, (OneOf((5,)), NumberRange(5, 5))):
        assert await _names(index, Filter(must=(Condition(key, test),))) == {"numbered"}, key


async def test_a_key_that_no_field_can_have_is_refused(index: Index) -> None:
    quoted = Filter(must=(Condition('"; drop', NumberRange(0, 1)),))
    with pytest.raises(FilterInvalid):
        await index.count(Scope("team", (), quoted))


async def _put_all(index: Index) -> None:
    for name, metadata in _DOCUMENTS.items():
        await put(index, document(name, metadata=metadata))


async def _names(index: Index, filter: Filter) -> set[str]:
    return await found_documents(index, Scope("team", (), filter))
