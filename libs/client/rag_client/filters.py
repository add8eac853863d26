"""Which passages may be found, by their document's metadata."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

DOCUMENT_ID = "document_id"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The key's value is one of these texts, or one of these whole numbers; 1 to 100, not mixed."""

    key: str
    values: Sequence[str] | Sequence[int]


@dataclass(frozen=True, slots=True)
class Within:
    """The key's value is a number within these bounds, both included."""

    key: str
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Between:
    """The key's value is a time (RFC 3339) at `start` or later and before `before`."""

    key: str
    start: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Is:
    """The key's value is this truth value."""

    key: str
    value: bool


Condition: TypeAlias = AnyOf | Within | Between | Is


@dataclass(frozen=True, slots=True)
class Filter:
    """All of `must` hold, none of `must_not`, and at least one of `should` where there are any."""

    must: Sequence[Condition] = ()
    should: Sequence[Condition] = ()
    must_not: Sequence[Condition] = ()
