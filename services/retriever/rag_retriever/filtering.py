"""Filters as they travel to typed tests; whatever cannot be is refused with the field's path."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar
from unicodedata import normalize

from google.protobuf.timestamp_pb2 import Timestamp

from rag.types.v1 import filter_pb2 as pb
from rag_common import errors
from rag_common.errors import FieldViolation
from rag_retriever.filters import (
    AnyInteger,
    AnyText,
    Condition,
    Filter,
    IsBool,
    NumberRange,
    Test,
    TimeRange,
)

Value = TypeVar("Value")

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_MOST_CONDITIONS = 64
_MOST_VALUES = 100


def parse(message: pb.Filter) -> Filter:
    """The filter that the message says. Raises FilterInvalid."""
    total = len(message.must) + len(message.should) + len(message.must_not)
    if total > _MOST_CONDITIONS:
        raise _invalid("filter", f"has {total} conditions; the limit is {_MOST_CONDITIONS}")
    return Filter(
        must=_conditions("filter.must", message.must),
        should=_conditions("filter.should", message.should),
        must_not=_conditions("filter.must_not", message.must_not),
    )


def _conditions(path: str, messages: Sequence[pb.Condition]) -> tuple[Condition, ...]:
    return tuple(_condition(f"{path}[{i}]", message) for i, message in enumerate(messages))


def _condition(path: str, message: pb.Condition) -> Condition:
    if not _KEY.fullmatch(message.key):
        raise _invalid(f"{path}.key", "must be a letter, then at most 63 letters, digits or _")
    test = _test(path, message)
    if message.key == "document_id" and not isinstance(test, AnyText):
        raise _invalid(path, "document_id can be tested with any_of alone")
    return Condition(message.key, test)


def _test(path: str, message: pb.Condition) -> Test:
    match message.WhichOneof("test"):
        case "any_of":
            return AnyText(_few(f"{path}.any_of", _composed(message.any_of.values)))
        case "any_integer":
            return AnyInteger(_few(f"{path}.any_integer", message.any_integer.values))
        case "number":
            return _numbers(f"{path}.number", message.number)
        case "time":
            return _times(f"{path}.time", message.time)
        case "equals_bool":
            return IsBool(message.equals_bool)
        case _:
            raise _invalid(path, "has no test")


def _composed(values: Sequence[str]) -> list[str]:
    """In NFC, as metadata is kept."""
    return [normalize("NFC", value) for value in values]


def _few(path: str, values: Sequence[Value]) -> tuple[Value, ...]:
    if not 1 <= len(values) <= _MOST_VALUES:
        raise _invalid(path, f"must have 1 to {_MOST_VALUES} values")
    return tuple(values)


def _numbers(path: str, message: pb.NumberRange) -> NumberRange:
    low = message.min if message.HasField("min") else None
    high = message.max if message.HasField("max") else None
    if low is None and high is None:
        raise _invalid(path, "has neither min nor max")
    if any(bound is not None and not math.isfinite(bound) for bound in (low, high)):
        raise _invalid(path, "must be finite")
    if low is not None and high is not None and low > high:
        raise _invalid(path, "has a min over its max")
    return NumberRange(low, high)


def _times(path: str, message: pb.TimeRange) -> TimeRange:
    start = _moment(path, message.start) if message.HasField("start") else None
    before = _moment(path, message.before) if message.HasField("before") else None
    if start is None and before is None:
        raise _invalid(path, "has neither start nor before")
    if start and before and start >= before:
        raise _invalid(path, "ends before it begins")
    return TimeRange(start, before)


def _moment(path: str, stamp: Timestamp) -> datetime:
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise _invalid(path, "is not a time between the years 1 and 9999") from error


def _invalid(path: str, description: str) -> errors.FilterInvalid:
    return errors.FilterInvalid(
        f"{path}: {description}", violations=[FieldViolation(path, description)]
    )
