"""Which points a call may touch: tests of payload fields, to be put in an engine's own words."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from rag_common.errors import FilterInvalid
from rag_retriever.adapters.payload import (
    DOCUMENT,
    FACTS,
    NUMBERS,
    OWNER,
    PUBLISHING_SCOPE,
    SCOPE,
    TIMES,
    VERSION,
    fact,
    moment,
    path,
    token,
)
from rag_retriever.filters import (
    AnyInteger,
    AnyText,
    Condition,
    IsBool,
    NumberRange,
    Scope,
    Test,
    TimeRange,
)
from rag_retriever.passages import Document, DocumentKey


@dataclass(frozen=True, slots=True)
class OneOf:
    """A keyword field, or one of its values, is one of these."""

    field: str
    values: list[str]


@dataclass(frozen=True, slots=True)
class Within:
    """A number field, or one of its values, is in this range; None leaves a side open."""

    field: str
    gte: float | None = None
    lte: float | None = None
    lt: float | None = None


Match: TypeAlias = OneOf | Within

PUBLISHING = OneOf(SCOPE, [PUBLISHING_SCOPE])


@dataclass(frozen=True, slots=True)
class Matches:
    """All of `must`, one of `should` if there are any, none of `must_not`."""

    must: list[Match]
    should: list[Match]
    must_not: list[Match]


def matches(scope: Scope, kind: str) -> Matches:
    """What a point of this kind carries in scope; FilterInvalid for a key no field can have."""
    return Matches(
        must=[within(scope, kind), *map(_match, scope.filter.must)],
        should=[*map(_match, scope.filter.should)],
        must_not=[*map(_match, scope.filter.must_not)],
    )


def within(scope: Scope, kind: str) -> OneOf:
    """What every published point of the tenant's collections in scope carries, whatever the filter."""
    tokens = [token(kind, scope.tenant, c) for c in scope.collections]
    return OneOf(SCOPE, tokens or [token(kind, scope.tenant)])


def published(tenant: str, kind: str) -> OneOf:
    """What every published point of a tenant carries."""
    return OneOf(SCOPE, [token(kind, tenant)])


def owned(key: DocumentKey) -> OneOf:
    """What every point of a document carries, published or not."""
    return OneOf(OWNER, [key.point_id()])


def kind_of(scope: str) -> str:
    """CHUNK or DOCUMENT for a value that each published point of a tenant carries once, else ""."""
    kind, _, place = scope.partition("/")
    length, _, tenant = place.partition(":")
    return kind if length == str(len(tenant)) else ""


def kinds(scopes: Mapping[str, int]) -> Counter[str]:
    """How many points of each kind are published, by how many carry each scope."""
    counts: Counter[str] = Counter()
    for scope, count in scopes.items():
        counts[kind_of(scope)] += count
    return counts


def of_version(document: Document) -> OneOf:
    """What every point of a document's version carries, next to `owned`."""
    return OneOf(VERSION, [document.version])


def no_chunk(tenant: str) -> list[Match]:
    """What the points of a document carry that are no chunks of it."""
    return [published(tenant, DOCUMENT), PUBLISHING]


def _match(condition: Condition) -> Match:
    key, test = condition.key, condition.test
    if isinstance(test, NumberRange):
        return Within(path(NUMBERS, key), gte=test.min, lte=test.max)
    if isinstance(test, TimeRange):
        return Within(path(TIMES, key), gte=_bound(test.start), lt=_bound(test.before))
    return OneOf(FACTS, [fact(key, value) for value in _wanted(test)])


def _wanted(test: Test) -> Iterable[str | float | bool]:
    if isinstance(test, IsBool):
        return [test.value]
    if isinstance(test, AnyText | AnyInteger):
        return test.values
    raise FilterInvalid(f"no test of the kind {type(test).__name__}")


def _bound(time: datetime | None) -> float | None:
    return None if time is None else moment(time)
