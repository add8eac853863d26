"""Filters: what each test means, and what is refused with which path."""

import math
import unicodedata
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from rag.types.v1 import filter_pb2 as pb
from rag_contract.errors import FilterInvalid
from rag_retriever.api.filters import parse
from rag_retriever.engines.edge import EdgeCatalog
from rag_retriever.index.filters import (
    Condition,
    ConditionTest,
    Filter,
    NumberRange,
    OneOf,
    Scope,
    TimeRange,
)
from rag_retriever.index.ports import Index
from tests.support.contracts.samples import SPEC, document, found_documents, put

# What would mean something to somebody, if it were pasted into a query of theirs.
HOSTILE = (
    "' OR '1'='1",
    '"; DROP TABLE documents; --',
    '{"$where": "1"}',
    '{"$ne": null}',
    "$where",
    "../../etc/passwd",
    "..\\..\\windows",
    "4:team=s:인사",
    "team=s:인사",
    "chunk/6:public",
    "*",
    "인사*",
    "a/b//c",
    "%00",
    "\x00",
    "\u202e사인",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "\\u0022",
    "인사\n",
)


def condition(**test: Any) -> dict[str, Any]:
    return {"key": "k", **test}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"any_of": {"values": ["a", "b"]}}, OneOf(("a", "b"))),
        ({"any_of": {"values": [""]}}, OneOf(("",))),
        ({"any_integer": {"values": [-1, 2**62]}}, OneOf((-1, 2**62))),
        ({"number": {"min": 0}}, NumberRange(0.0, None)),
        ({"number": {"max": -0.5}}, NumberRange(None, -0.5)),
        ({"number": {"min": 1, "max": 1}}, NumberRange(1.0, 1.0)),
        (
            {"time": {"start": {"seconds": 0}, "before": {"seconds": 1, "nanos": 500_000_000}}},
            TimeRange(
                datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)
            ),
        ),
        ({"equals_bool": False}, OneOf((False,))),
    ],
)
def test_each_test_means_what_it_says(given: dict[str, Any], meant: ConditionTest) -> None:
    assert parse(pb.Filter(must=[condition(**given)])) == Filter(must=(Condition("k", meant),))


def test_the_three_parts_stay_apart() -> None:
    by_id = {"key": "document_id", "any_of": {"values": ["a"]}}
    yes, no = condition(equals_bool=True), condition(equals_bool=False)
    assert parse(pb.Filter(must=[yes], should=[no], must_not=[by_id])) == Filter(
        must=(Condition("k", OneOf((True,))),),
        should=(Condition("k", OneOf((False,))),),
        must_not=(Condition("document_id", OneOf(("a",))),),
    )


def test_texts_are_compared_in_nfc_as_metadata_is_kept() -> None:
    inputs = unicodedata.normalize("NFD", "인사")
    result = parse(pb.Filter(must=[condition(any_of={"values": [inputs]})]))
    assert result.must[0].test == OneOf(("인사",))


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"key": "", "equals_bool": True}, ".key"),
        ({"key": "1a", "equals_bool": True}, ".key"),
        ({"key": "a.b", "equals_bool": True}, ".key"),
        ({"key": "가", "equals_bool": True}, ".key"),
        ({"key": "a" * 65, "equals_bool": True}, ".key"),
        ({"key": "a\n", "equals_bool": True}, ".key"),
        ({"key": "k"}, ""),
        (condition(any_of={}), ".any_of.values"),
        (condition(any_of={"values": ["a"] * 101}), ".any_of.values"),
        (condition(any_of={"values": ["a", "a" * 1001]}), ".any_of.values[1]"),
        (condition(any_integer={}), ".any_integer.values"),
        (condition(any_integer={"values": [1] * 101}), ".any_integer.values"),
        (condition(number={}), ".number"),
        (condition(number={"min": math.nan}), ".number.min"),
        (condition(number={"max": math.inf}), ".number.max"),
        (condition(number={"min": 2, "max": 1}), ".number"),
        (condition(time={}), ".time"),
        (condition(time={"start": {"seconds": 10}, "before": {"seconds": 10}}), ".time"),
        (condition(time={"start": {"seconds": 10**12}}), ".time.start"),
        (condition(time={"before": {"nanos": -1}}), ".time.before"),
        ({"key": "document_id", "any_integer": {"values": [1]}}, ""),
        ({"key": "document_id", "equals_bool": True}, ""),
    ],
)
@pytest.mark.parametrize("part", ["must", "should", "must_not"])
def test_what_cannot_be_is_refused_with_its_path(
    given: dict[str, Any], path: str, part: str
) -> None:
    good = condition(equals_bool=True)
    with pytest.raises(FilterInvalid) as raised:
        parse(pb.Filter(**{part: [good, given]}))
    [violation] = raised.value.violations
    assert violation.field == f"filter.{part}[1]{path}"


def test_the_number_of_conditions_is_bounded_over_all_parts() -> None:
    one = condition(equals_bool=True)
    parse(pb.Filter(must=[one] * 32, should=[one] * 32))
    with pytest.raises(FilterInvalid) as raised:
        parse(pb.Filter(must=[one] * 32, should=[one] * 32, must_not=[one]))
    assert [violation.field for violation in raised.value.violations] == ["filter"]


def test_everything_wrong_in_a_filter_is_said_at_once() -> None:
    bad = [
        {"key": "$where", "number": {"min": 2, "max": 1}},
        condition(any_of={}),
        condition(equals_bool=True),
        condition(number={}),
    ]
    with pytest.raises(FilterInvalid) as raised:
        parse(pb.Filter(must=bad, must_not=[condition()]))
    result = {violation.field: violation.reason for violation in raised.value.violations}
    assert result == {
        "filter.must[0].key": "MALFORMED",
        "filter.must[0].number": "MALFORMED",
        "filter.must[1].any_of.values": "REQUIRED",
        "filter.must[3].number": "MALFORMED",
        "filter.must_not[0]": "MALFORMED",
    }
    assert all(violation.korean for violation in raised.value.violations)
    assert raised.value.message.endswith("(and 4 more)")


@pytest.mark.parametrize("key", HOSTILE)
def test_a_hostile_key_is_refused(key: str) -> None:
    with pytest.raises(FilterInvalid):
        parse(pb.Filter(must=[{"key": key, "equals_bool": True}]))


@pytest.fixture(scope="module")
async def index(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Index]:
    """A document for each hostile text, which its metadata holds, beside ordinary ones."""
    async with EdgeCatalog(tmp_path_factory.mktemp("index")) as catalog:
        await catalog.create(SPEC)
        opened = await catalog.open("")
        await put(opened, document("ordinary", metadata={"team": "인사"}))
        await put(opened, document("none", metadata={}))
        for number, text in enumerate(HOSTILE):
            await put(opened, document(f"hostile-{number}", metadata={"team": text}))
        yield opened


@pytest.mark.parametrize("number", range(len(HOSTILE)))
async def test_a_hostile_text_is_matched_letter_by_letter(index: Index, number: int) -> None:
    text = HOSTILE[number]
    by_value = parse(pb.Filter(must=[{"key": "team", "any_of": {"values": [text]}}]))
    assert await found_documents(index, Scope("team", (), by_value)) == {f"hostile-{number}"}
    by_id = Filter(must=(Condition("document_id", OneOf((text,))),))
    for scope in (Scope("team", (), by_id), Scope("team", (text,)), Scope(text)):
        assert await found_documents(index, scope) == set()
