"""Filters: what each test means, and what is refused with which path."""

import math
import unicodedata
from datetime import UTC, datetime
from typing import Any

import pytest

from rag.types.v1 import filter_pb2 as pb
from rag_common.errors import FilterInvalid
from rag_retriever.filtering import parse
from rag_retriever.filters import AnyInteger, AnyText, Filter, IsBool, NumberRange, TimeRange


def condition(**test: Any) -> dict[str, Any]:
    return {"key": "k", **test}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"any_of": {"values": ["a", "b"]}}, AnyText(("a", "b"))),
        ({"any_of": {"values": [""]}}, AnyText(("",))),
        ({"any_integer": {"values": [-1, 2**62]}}, AnyInteger((-1, 2**62))),
        ({"number": {"min": 0}}, NumberRange(0.0, None)),
        ({"number": {"max": -0.5}}, NumberRange(None, -0.5)),
        ({"number": {"min": 1, "max": 1}}, NumberRange(1.0, 1.0)),
        (
            {"time": {"start": {"seconds": 0}, "before": {"seconds": 1, "nanos": 500_000_000}}},
            TimeRange(
                datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)
            ),
        ),
        ({"equals_bool": False}, IsBool(False)),
    ],
)
def test_each_test_means_what_it_says(given: dict[str, Any], meant: object) -> None:
    found = parse(pb.Filter(must=[condition(**given)]))
    assert found.must[0].test == meant
    assert found.must[0].key == "k"


def test_the_three_parts_stay_apart() -> None:
    found = parse(
        pb.Filter(
            must=[condition(equals_bool=True)],
            should=[condition(equals_bool=False)],
            must_not=[{"key": "document_id", "any_of": {"values": ["a"]}}],
        )
    )
    assert [len(part) for part in (found.must, found.should, found.must_not)] == [1, 1, 1]
    assert found.must_not[0].test == AnyText(("a",))


def test_no_filter_is_the_filter_that_lets_everything_through() -> None:
    assert parse(pb.Filter()) == Filter()


def test_texts_are_compared_in_nfc_as_metadata_is_kept() -> None:
    given = unicodedata.normalize("NFD", "인사")
    found = parse(pb.Filter(must=[condition(any_of={"values": [given]})]))
    assert found.must[0].test == AnyText(("인사",))


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
        (condition(any_of={}), ".any_of"),
        (condition(any_of={"values": ["a"] * 101}), ".any_of"),
        (condition(any_integer={}), ".any_integer"),
        (condition(any_integer={"values": [1] * 101}), ".any_integer"),
        (condition(number={}), ".number"),
        (condition(number={"min": math.nan}), ".number"),
        (condition(number={"max": math.inf}), ".number"),
        (condition(number={"min": 2, "max": 1}), ".number"),
        (condition(time={}), ".time"),
        (condition(time={"start": {"seconds": 10}, "before": {"seconds": 10}}), ".time"),
        (condition(time={"start": {"seconds": 10**12}}), ".time"),
        (condition(time={"before": {"nanos": -1}}), ".time"),
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
