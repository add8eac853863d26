"""Collects all violations of a request, so that one error reports them together."""

from collections.abc import Iterable

from google.protobuf.message import Message

from rag_contract import errors
from rag_contract.error_messages import malformed
from rag_contract.errors import FieldViolation
from rag_gateway.api.validation.limits import LIMITS

# The status of an error has room for about twenty.
_MAX_VIOLATIONS = 100
_FILTER = "retrieval.filter"


class RequestValidator:
    """Collects the violations of a request, each once.

    The constructor checks every field against its declared rule (LIMITS); violations that depend on
    several fields are added by `add` and `require`. `validate` raises if there are any.
    """

    def __init__(self, request: Message) -> None:
        self._violations: dict[tuple[str, str], FieldViolation] = {}
        self.add(LIMITS[request.DESCRIPTOR.full_name].violations(request, ""))

    def add(self, violations: Iterable[FieldViolation]) -> None:
        """Add violations; duplicates are ignored."""
        for violation in violations:
            if len(self._violations) >= _MAX_VIOLATIONS:
                return
            self._violations.setdefault((violation.field, violation.description), violation)

    def require(self, valid: bool, field: str, description: str, korean: str = "") -> None:
        """Add a violation unless the field's value is valid."""
        if not valid:
            self.add([malformed(field, description, korean)])

    def validate(self) -> None:
        """Raise if there are violations.

        FilterInvalid or InputTooLong if all violations are of that kind, else FieldInvalid.
        """
        if self._violations:
            violations = list(self._violations.values())
            raise _error_class(violations).among(violations)


def _error_class(violations: list[FieldViolation]) -> type[errors.FieldInvalid]:
    if all(_is_in_filter(violation.field) for violation in violations):
        return errors.FilterInvalid
    if all(violation.reason == errors.InputTooLong.reason for violation in violations):
        return errors.InputTooLong
    return errors.FieldInvalid


def _is_in_filter(field: str) -> bool:
    """Whether the field is the filter itself, as for too many conditions in total, or a part of it."""
    return field == _FILTER or field.startswith(f"{_FILTER}.")
