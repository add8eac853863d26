"""What is wrong with a request, all of it at once."""

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import Message

from rag_common import errors
from rag_common.errors import FieldViolation
from rag_common.messages import malformed
from rag_gateway.requests.limits import LIMITS
from rag_gateway.requests.rules import Rule, Text

# A status carries some twenty; more would only cost.
_MOST_VIOLATIONS = 100
_FILTER = "retrieval.filter."


class Checks:
    """Collects what is wrong with a request, each thing once, so that a caller learns all of it.

    Given the request itself, every field of it is held against its declared limit.
    """

    def __init__(self, request: Message | None = None) -> None:
        self._violations: dict[tuple[str, str], FieldViolation] = {}
        self._whole = request is not None
        if request is not None:
            self.note(LIMITS[request.DESCRIPTOR.full_name].broken(request, ""))

    def hold(self, value: Any, rule: Rule, field: str) -> None:
        """Hold a field against its limit, unless that was done with the request's other fields."""
        if not self._whole:
            self.note(rule.broken(value, field))

    def note(self, violations: Iterable[FieldViolation]) -> None:
        """Keep what is wrong; a thing that is known already changes nothing."""
        for violation in violations:
            if len(self._violations) >= _MOST_VIOLATIONS:
                return
            self._violations.setdefault((violation.field, violation.description), violation)

    def require(self, fits: bool, field: str, description: str, korean: str = "") -> None:
        """Note a violation where the value does not fit."""
        if not fits:
            self.note([malformed(field, description, korean)])

    def text(self, value: str, field: str, most: int) -> None:
        """A text must have something in it, and at most so many characters."""
        self.note(Text(most, required=True).broken(value, field))

    def done(self) -> None:
        """Raise if anything was wrong.

        FilterInvalid or InputTooLong where that is all that was wrong, else InvalidArgument.
        """
        if self._violations:
            found = list(self._violations.values())
            raise _kind(found).among(found)


def _kind(found: list[FieldViolation]) -> type[errors.InvalidArgument]:
    if all(violation.field.startswith(_FILTER) for violation in found):
        return errors.FilterInvalid
    if all(violation.reason == errors.InputTooLong.reason for violation in found):
        return errors.InputTooLong
    return errors.InvalidArgument
