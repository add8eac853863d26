"""Metadata filters: typed conditions on a document's metadata."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class OneOf:
    """Matches if the value, or any element of a list value, equals one of these and has its type."""

    values: tuple[str, ...] | tuple[int, ...] | tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class NumberRange:
    """Matches if min <= value <= max; None means no bound on that side."""

    min: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Matches if start <= value < before, both time-zone aware; None means no bound on that side."""

    start: datetime | None
    before: datetime | None


ConditionTest = OneOf | NumberRange | TimeRange


@dataclass(frozen=True, slots=True)
class Condition:
    """A test of one metadata key; the key `document_id` tests the document's id."""

    key: str
    test: ConditionTest


@dataclass(frozen=True, slots=True)
class Filter:
    """Matches if all of `must`, at least one of `should` (if not empty) and none of `must_not` match."""

    must: tuple[Condition, ...] = ()
    should: tuple[Condition, ...] = ()
    must_not: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """The points that a call may see: a tenant, its collections (empty: all of them) and a filter.

    Raises ValueError without a tenant.
    """

    tenant: str
    collections: tuple[str, ...] = ()
    filter: Filter = Filter()

    def __post_init__(self) -> None:
        if not self.tenant:
            raise ValueError("a scope without a tenant would see everything")
