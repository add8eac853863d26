"""What the check of one item found."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Whether an item is fit for a release. An item whose check did not happen is never `GO`."""

    GO = "go"
    NO_GO = "no-go"
    NOT_VERIFIED = "not verified"
    FOR_A_PERSON = "for a person"


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of an item, the figure or sentence that shows it, and when that was measured.

    `measured` is an ISO 8601 time in UTC, or empty if nothing was measured.
    """

    state: State
    evidence: str
    measured: str = ""


def not_verified(reason: str, measured: str = "") -> Finding:
    """The finding of a check that did not happen."""
    return Finding(State.NOT_VERIFIED, reason, measured)


def judged(problems: list[str], evidence: str, measured: str = "") -> Finding:
    """`GO` with the evidence, or `NO_GO` with the problems before it."""
    if problems:
        return Finding(State.NO_GO, "; ".join([*problems, evidence]), measured)
    return Finding(State.GO, evidence, measured)
