"""Filters as protobuf messages; values that protobuf cannot hold are refused before the call."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from rag.types.v1 import filter_pb2 as wire
from rag_client.models.filters import AnyOf, Between, Condition, Filter, Is, Within
from rag_contract.errors import FieldViolation, FilterInvalid


def to_wire(query_filter: Filter) -> wire.Filter:
    """The message for a filter; the gateway checks its keys, sizes and ranges.

    Raises FilterInvalid, with a violation for each value of the wrong type.
    """
    violations: list[FieldViolation] = []
    message = wire.Filter(
        must=_conditions("filter.must", query_filter.must, violations),
        should=_conditions("filter.should", query_filter.should, violations),
        must_not=_conditions("filter.must_not", query_filter.must_not, violations),
    )
    if violations:
        raise FilterInvalid.among(violations)
    return message


class _InvalidValue(Exception):
    """A value that protobuf cannot hold; the message says what is expected."""


def _conditions(
    path: str, conditions: Sequence[Condition], violations: list[FieldViolation]
) -> Iterator[wire.Condition]:
    if isinstance(conditions, AnyOf | Within | Between | Is):
        violations.append(FieldViolation(path, "must be a list of conditions"))
        return
    for position, condition in enumerate(conditions):
        try:
            yield _condition(condition)
        except _InvalidValue as error:
            violations.append(FieldViolation(f"{path}[{position}]", str(error)))


def _condition(condition: Condition) -> wire.Condition:
    match condition:
        case AnyOf(key, values):
            return _any_of(_text(key), values)
        case Within(key, minimum, maximum):
            bounds = wire.NumberRange(min=_number(minimum), max=_number(maximum))
            return wire.Condition(key=_text(key), number=bounds)
        case Between(key, start, before):
            period = wire.TimeRange(start=_timestamp(start), before=_timestamp(before))
            return wire.Condition(key=_text(key), time=period)
        case Is(key, bool(value)):
            return wire.Condition(key=_text(key), equals_bool=value)
        case Is():
            raise _InvalidValue("Is takes True or False")
    raise _InvalidValue("must be AnyOf, Within, Between or Is")


def _any_of(key: str, values: Sequence[str] | Sequence[int]) -> wire.Condition:
    if isinstance(values, str | bytes):
        raise _InvalidValue("AnyOf takes a list of values, not a single text")
    items: list[Any] = list(values)
    if all(isinstance(value, str) for value in items):
        return wire.Condition(key=key, any_of=wire.StringSet(values=map(_text, items)))
    if all(isinstance(value, int) and not isinstance(value, bool) for value in items):
        if not all(-(2**63) <= value < 2**63 for value in items):
            raise _InvalidValue("AnyOf takes whole numbers of at most 64 bits")
        return wire.Condition(key=key, any_integer=wire.IntegerSet(values=items))
    raise _InvalidValue(
        "AnyOf takes either texts or whole numbers, not both; for other types use Is, Within or Between"
    )


def _text(value: Any) -> str:
    try:
        # A Python string may hold lone surrogates, which UTF-8 cannot.
        return str.encode(value).decode()
    except (TypeError, UnicodeEncodeError) as error:
        raise _InvalidValue("keys and texts must be valid Unicode") from error


def _number(value: float | None) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _InvalidValue("Within takes numbers")
    try:
        return float(value)
    except OverflowError as error:
        raise _InvalidValue("Within takes numbers that a double can hold") from error


def _timestamp(moment: date | None) -> Timestamp | None:
    """A time without a time zone is UTC, as in metadata; a date is its midnight."""
    if moment is None:
        return None
    if not isinstance(moment, date):
        raise _InvalidValue("Between takes a datetime or a date")
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    aware = moment if moment.utcoffset() is not None else moment.replace(tzinfo=UTC)
    stamp = Timestamp()
    try:
        stamp.FromDatetime(aware.astimezone(UTC))
    except (OverflowError, ValueError) as error:
        raise _InvalidValue("Between takes times of the years 1 to 9999") from error
    return stamp
