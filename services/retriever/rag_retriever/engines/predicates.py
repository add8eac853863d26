"""Engine-independent predicates on payload fields, which each engine translates to its own filters."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from rag_retriever.engines.payload import (
    DOCUMENT,
    METADATA_KEYWORDS,
    NUMBERS,
    OWNER,
    PUBLISHING_SCOPE,
    SCOPE,
    TIMES,
    VERSION,
    epoch_microseconds,
    field_path,
    metadata_keyword,
    scope_token,
)
from rag_retriever.index.filters import (
    Condition,
    NumberRange,
    Scope,
    TimeRange,
)
from rag_retriever.index.model import Document, DocumentKey


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Matches if a keyword field, or any of its elements, is one of `values`."""

    field: str
    values: list[str]


@dataclass(frozen=True, slots=True)
class InRange:
    """Matches if a number field, or any of its elements, is in this range; None means no bound."""

    field: str
    gte: float | None = None
    lte: float | None = None
    lt: float | None = None


FieldPredicate: TypeAlias = AnyOf | InRange

PUBLISHING = AnyOf(SCOPE, [PUBLISHING_SCOPE])


@dataclass(frozen=True, slots=True)
class PointFilter:
    """Matches if all of `must`, at least one of `should` (if not empty) and none of `must_not` match."""

    must: list[FieldPredicate]
    should: list[FieldPredicate]
    must_not: list[FieldPredicate]


def scope_filter(scope: Scope, kind: str) -> PointFilter:
    """Matches points of this kind within the scope."""
    return PointFilter(
        must=[in_scope(scope, kind), *map(_match, scope.filter.must)],
        should=[*map(_match, scope.filter.should)],
        must_not=[*map(_match, scope.filter.must_not)],
    )


def in_scope(scope: Scope, kind: str) -> AnyOf:
    """Matches all published points of the scope's collections, regardless of its filter."""
    tokens = [scope_token(kind, scope.tenant, c) for c in scope.collections]
    return AnyOf(SCOPE, tokens or [scope_token(kind, scope.tenant)])


def published(tenant: str, kind: str) -> AnyOf:
    """Matches all published points of a tenant."""
    return AnyOf(SCOPE, [scope_token(kind, tenant)])


def of_document(key: DocumentKey) -> AnyOf:
    """Matches all points of a document, published or not."""
    return AnyOf(OWNER, [key.point_id()])


def kind_of(scope: str) -> str:
    """CHUNK or DOCUMENT for a tenant's scope keyword, which each published point has once; else ""."""
    kind, _, rest = scope.partition("/")
    length, _, tenant = rest.partition(":")
    return kind if length == str(len(tenant)) else ""


def count_by_kind(scopes: Mapping[str, int]) -> Counter[str]:
    """The number of published points of each kind, from the number of points with each scope keyword."""
    counts: Counter[str] = Counter()
    for scope, count in scopes.items():
        counts[kind_of(scope)] += count
    return counts


def of_version(document: Document) -> AnyOf:
    """Matches the points of a document's version; combine with `of_document`."""
    return AnyOf(VERSION, [document.version])


def non_chunk_points(tenant: str) -> list[FieldPredicate]:
    """Matches the points of a document other than its chunks."""
    return [published(tenant, DOCUMENT), PUBLISHING]


def _match(condition: Condition) -> FieldPredicate:
    key, test = condition.key, condition.test
    if isinstance(test, NumberRange):
        return InRange(field_path(NUMBERS, key), gte=test.min, lte=test.max)
    if isinstance(test, TimeRange):
        return InRange(field_path(TIMES, key), gte=_bound(test.start), lt=_bound(test.before))
    return AnyOf(METADATA_KEYWORDS, [metadata_keyword(key, value) for value in test.values])


def _bound(time: datetime | None) -> float | None:
    return None if time is None else epoch_microseconds(time)
