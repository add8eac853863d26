"""Filters as they travel to typed tests; whatever cannot be is refused, all of it, with the fields' paths."""

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
from rag_common.messages import malformed, violation
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
_MOST_CHARACTERS = 1000


def parse(message: pb.Filter) -> Filter:
    """The filter that the message says. Raises FilterInvalid, with everything that is wrong in it."""
    total = len(message.must) + len(message.should) + len(message.must_not)
    if total > _MOST_CONDITIONS:
        raise errors.FilterInvalid.among([violation("filter", "TOO_MANY", most=_MOST_CONDITIONS)])
    reading = _Reading()
    found = Filter(
        must=reading.conditions("filter.must", message.must),
        should=reading.conditions("filter.should", message.should),
        must_not=reading.conditions("filter.must_not", message.must_not),
    )
    if reading.violations:
        raise errors.FilterInvalid.among(reading.violations)
    return found


class _Wrong(Exception):
    """One thing that cannot be."""

    def __init__(self, violation: FieldViolation) -> None:
        super().__init__(violation.description)
        self.violation = violation


class _Reading:
    """Reads conditions, and keeps what is wrong with those that cannot be: one thing each."""

    def __init__(self) -> None:
        self.violations: list[FieldViolation] = []

    def conditions(self, path: str, messages: Sequence[pb.Condition]) -> tuple[Condition, ...]:
        found: list[Condition] = []
        for at, message in enumerate(messages):
            try:
                found.append(_condition(f"{path}[{at}]", message))
            except _Wrong as wrong:
                self.violations.append(wrong.violation)
        return tuple(found)


def _condition(path: str, message: pb.Condition) -> Condition:
    if not _KEY.fullmatch(message.key):
        raise _wrong(f"{path}.key", *_BAD_KEY)
    test = _test(path, message)
    if message.key == "document_id" and not isinstance(test, AnyText):
        raise _wrong(path, *_BAD_DOCUMENT)
    return Condition(message.key, test)


def _test(path: str, message: pb.Condition) -> Test:
    match message.WhichOneof("test"):
        case "any_of":
            return AnyText(_texts(f"{path}.any_of.values", message.any_of.values))
        case "any_integer":
            return AnyInteger(_few(f"{path}.any_integer.values", message.any_integer.values))
        case "number":
            return _numbers(f"{path}.number", message.number)
        case "time":
            return _times(f"{path}.time", message.time)
        case "equals_bool":
            return IsBool(message.equals_bool)
        case _:
            raise _wrong(path, "has no test", "검사할 조건이 없습니다.")


def _texts(path: str, values: Sequence[str]) -> tuple[str, ...]:
    """In NFC, as metadata is kept."""
    for at, value in enumerate(_few(path, values)):
        if len(value) > _MOST_CHARACTERS:
            raise _Wrong(violation(f"{path}[{at}]", "TOO_LONG", most=_MOST_CHARACTERS))
    return tuple(normalize("NFC", value) for value in values)


def _few(path: str, values: Sequence[Value]) -> tuple[Value, ...]:
    if not values:
        raise _Wrong(violation(path, "REQUIRED"))
    if len(values) > _MOST_VALUES:
        raise _Wrong(violation(path, "TOO_MANY", most=_MOST_VALUES))
    return tuple(values)


def _numbers(path: str, message: pb.NumberRange) -> NumberRange:
    low = message.min if message.HasField("min") else None
    high = message.max if message.HasField("max") else None
    if low is None and high is None:
        raise _wrong(path, "has neither min nor max", "min이나 max가 있어야 합니다.")
    for name, bound in (("min", low), ("max", high)):
        if bound is not None and not math.isfinite(bound):
            raise _wrong(f"{path}.{name}", "must be finite", "유한한 숫자여야 합니다.")
    if low is not None and high is not None and low > high:
        raise _wrong(path, "has a min over its max", "min이 max보다 큽니다.")
    return NumberRange(low, high)


def _times(path: str, message: pb.TimeRange) -> TimeRange:
    start = _moment(f"{path}.start", message.start) if message.HasField("start") else None
    before = _moment(f"{path}.before", message.before) if message.HasField("before") else None
    if start is None and before is None:
        raise _wrong(path, "has neither start nor before", "start나 before가 있어야 합니다.")
    if start and before and start >= before:
        raise _wrong(path, "ends before it begins", "끝이 시작보다 이릅니다.")
    return TimeRange(start, before)


def _moment(path: str, stamp: Timestamp) -> datetime:
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise _Wrong(
            violation(path, "OUT_OF_RANGE", least="0001-01-01", most="9999-12-31")
        ) from error


_BAD_KEY = (
    "must be a letter, then at most 63 letters, digits or _",
    "영문자로 시작하고, 영문자, 숫자, _를 합해 64자까지 쓸 수 있습니다.",
)
_BAD_DOCUMENT = (
    "document_id can be tested with any_of alone",
    "document_id는 any_of로만 검사할 수 있습니다.",
)


def _wrong(path: str, english: str, korean: str) -> _Wrong:
    return _Wrong(malformed(path, english, korean))
