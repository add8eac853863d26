"""A filter as the wire carries it."""

from collections.abc import Sequence
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from rag.types.v1 import filter_pb2 as wire
from rag_client.filters import AnyOf, Between, Condition, Filter, Is, Within


def to_wire(chosen: Filter) -> wire.Filter:
    """The message of a filter; the gateway, not this, judges its keys and bounds."""
    return wire.Filter(
        must=[_condition(part) for part in chosen.must],
        should=[_condition(part) for part in chosen.should],
        must_not=[_condition(part) for part in chosen.must_not],
    )


def _condition(part: Condition) -> wire.Condition:
    match part:
        case AnyOf(key, values):
            return _any_of(key, values)
        case Within(key, minimum, maximum):
            bounds = wire.NumberRange(min=minimum, max=maximum)
            return wire.Condition(key=key, number=bounds)
        case Between(key, start, before):
            period = wire.TimeRange(before=_timestamp(before))
            if start:
                # `from` is a keyword of Python.
                getattr(period, "from").CopyFrom(_timestamp(start))
            return wire.Condition(key=key, time=period)
        case Is(key, value):
            return wire.Condition(key=key, equals_bool=value)


def _any_of(key: str, values: Sequence[str] | Sequence[int]) -> wire.Condition:
    texts = [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if not isinstance(value, str)]
    if numbers:
        return wire.Condition(key=key, any_integer=wire.IntegerSet(values=numbers))
    return wire.Condition(key=key, any_of=wire.StringSet(values=texts))


def _timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment.astimezone(UTC))
    return stamp
