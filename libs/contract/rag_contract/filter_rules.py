"""Validation of metadata filters (rag.types.v1.Filter), shared by the gateway and the retriever."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from rag_contract.error_messages import malformed, violation
from rag_contract.errors import FieldViolation
from rag_contract.metadata_rules import (
    KEY,
    KEY_RULE,
    MAX_CHARACTERS,
    MAX_VALUES,
    NOT_FINITE,
    time_violations,
)

MAX_CONDITIONS = 64
_PARTS = ("must", "should", "must_not")


def violations(message: Any, path: str) -> list[FieldViolation]:
    """The violations of a filter, in the order of its conditions; `path` is the filter's field path.

    Conditions beyond MAX_CONDITIONS and values beyond MAX_VALUES are counted but not validated.
    """
    counts = {f"{path}.{part}": len(getattr(message, part)) for part in _PARTS}
    long = [field for field, count in counts.items() if count > MAX_CONDITIONS]
    if not long and sum(counts.values()) > MAX_CONDITIONS:
        long = [path]
    wrong = [_too_many_conditions(field) for field in long]
    for part in _PARTS:
        for at, condition in enumerate(getattr(message, part)[:MAX_CONDITIONS]):
            wrong.extend(_condition(f"{path}.{part}[{at}]", condition))
    return wrong


def _too_many_conditions(path: str) -> FieldViolation:
    english, korean = "has over {} conditions", "조건이 {}개를 넘었습니다."
    limit = MAX_CONDITIONS
    return FieldViolation(path, english.format(limit), "TOO_MANY", korean.format(limit))


def _condition(path: str, message: Any) -> Iterator[FieldViolation]:
    if not message.key:
        yield violation(f"{path}.key", "REQUIRED")
    elif not KEY.fullmatch(message.key):
        yield malformed(f"{path}.key", *KEY_RULE)
    kind = message.WhichOneof("test")
    if kind is None:
        yield malformed(path, "has no test", "검사할 조건이 없습니다.")
        return
    if message.key == "document_id" and kind != "any_of":
        yield malformed(
            path,
            "document_id can be tested with any_of only",
            "document_id는 any_of로만 검사할 수 있습니다.",
        )
    test, field = getattr(message, kind), f"{path}.{kind}"
    match kind:
        case "any_of":
            yield from _count(f"{field}.values", test.values)
            yield from _texts(f"{field}.values", test.values)
        case "any_integer":
            yield from _count(f"{field}.values", test.values)
        case "number":
            yield from _numbers(field, test)
        case "time":
            yield from _times(field, test)


def _count(path: str, values: Sequence[Any]) -> Iterator[FieldViolation]:
    if not values:
        yield violation(path, "REQUIRED")
    if len(values) > MAX_VALUES:
        yield violation(path, "TOO_MANY", max=MAX_VALUES)


def _texts(path: str, values: Sequence[str]) -> Iterator[FieldViolation]:
    for at, value in enumerate(values[:MAX_VALUES]):
        if len(value) > MAX_CHARACTERS:
            yield violation(f"{path}[{at}]", "TOO_LONG", max=MAX_CHARACTERS)


def _numbers(path: str, message: Any) -> Iterator[FieldViolation]:
    bounds = {name: getattr(message, name) for name in ("min", "max") if message.HasField(name)}
    if not bounds:
        yield malformed(path, "has neither min nor max", "min이나 max가 있어야 합니다.")
    for name, bound in bounds.items():
        if not math.isfinite(bound):
            yield malformed(f"{path}.{name}", *NOT_FINITE)
    if len(bounds) == 2 and bounds["min"] > bounds["max"]:
        yield malformed(path, "has a min over its max", "min이 max보다 큽니다.")


def _times(path: str, message: Any) -> Iterator[FieldViolation]:
    bounds = {
        name: getattr(message, name) for name in ("start", "before") if message.HasField(name)
    }
    if not bounds:
        yield malformed(path, "has neither start nor before", "start나 before가 있어야 합니다.")
    for name, bound in bounds.items():
        yield from time_violations(bound, f"{path}.{name}")
    if len(bounds) == 2 and _nanos(bounds["start"]) >= _nanos(bounds["before"]):
        yield malformed(path, "ends before it begins", "끝이 시작보다 이릅니다.")


def _nanos(stamp: Timestamp) -> int:
    return stamp.seconds * 10**9 + stamp.nanos
