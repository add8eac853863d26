"""Filters that restrict a search by the metadata of the documents.

A key is a metadata key, or DOCUMENT_ID. A list in the metadata satisfies a condition if one of its
entries does; a document without the key satisfies none. Conditions whose values have the wrong type
raise FilterInvalid before the call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

DOCUMENT_ID = "document_id"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The key's value is one of 1 to 100 texts, or one of 1 to 100 whole numbers."""

    key: str
    values: Sequence[str] | Sequence[int]


@dataclass(frozen=True, slots=True)
class Within:
    """The key's value is a number from `minimum` to `maximum`, both included; None means no bound."""

    key: str
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Between:
    """The key's value is a time (RFC 3339) from `start` on and before `before`; None means no bound.

    A date means its midnight. A time without a time zone is UTC, as in metadata.
    """

    key: str
    start: date | None = None
    before: date | None = None


@dataclass(frozen=True, slots=True)
class Is:
    """The key's value is this boolean."""

    key: str
    value: bool


Condition: TypeAlias = AnyOf | Within | Between | Is


@dataclass(frozen=True, slots=True)
class Filter:
    """All conditions of `must` hold, none of `must_not`, and at least one of `should` unless it is empty."""

    must: Sequence[Condition] = ()
    should: Sequence[Condition] = ()
    must_not: Sequence[Condition] = ()
