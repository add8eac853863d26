"""Typed tests of a document's metadata: what a filter can say, and nothing else."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AnyText:
    """The value, or one of its values, is one of these texts."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnyInteger:
    """The value, or one of its values, is one of these whole numbers."""

    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NumberRange:
    """min <= value <= max; None leaves a side open."""

    min: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class TimeRange:
    """start <= value < before, both with a time zone; None leaves a side open."""

    start: datetime | None
    before: datetime | None


@dataclass(frozen=True, slots=True)
class IsBool:
    """The value is this truth value."""

    value: bool


Test = AnyText | AnyInteger | NumberRange | TimeRange | IsBool


@dataclass(frozen=True, slots=True)
class Condition:
    """A test of one key: a metadata key, or `document_id` for the document itself."""

    key: str
    test: Test


@dataclass(frozen=True, slots=True)
class Filter:
    """All of `must`, one of `should` where there are any, none of `must_not`."""

    must: tuple[Condition, ...] = ()
    should: tuple[Condition, ...] = ()
    must_not: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose points may be seen at all. Made in one place, and never without a tenant."""

    tenant: str
    collections: tuple[str, ...] = ()
    filter: Filter = Filter()

    def __post_init__(self) -> None:
        if not self.tenant:
            raise ValueError("a scope without a tenant would see everything")
