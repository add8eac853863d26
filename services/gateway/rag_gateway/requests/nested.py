"""The limits of a message: those of its fields, and which of them must be set."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message

from rag_common.errors import FieldViolation
from rag_common.messages import violation
from rag_gateway.requests.rules import Rule, Violations


class Nested:
    """A rule for each field. A field without one cannot be sent: see the test of the table."""

    def __init__(self, fields: Mapping[str, Rule], *, required: bool = False) -> None:
        self.fields = fields
        self.required = required
        self._needed = tuple(name for name, rule in fields.items() if rule.required)

    def broken(self, value: Message, path: str) -> Violations:
        """What is wrong with the fields that are set, and which of the needed ones are not."""
        prefix = f"{path}." if path else ""
        given = [(field.name, item) for field, item in value.ListFields()]
        found: list[FieldViolation] = []
        for name in self._needed:
            if not any(name == other for other, _ in given):
                found.append(violation(prefix + name, "REQUIRED"))
        for name, item in given:
            found.extend(self.fields[name].broken(item, prefix + name))
        return found

    def schema(self) -> dict[str, Any]:
        """The fields by name, for documentation."""
        found: dict[str, Any] = {
            "type": "object",
            "properties": {name: rule.schema() for name, rule in self.fields.items()},
        }
        return {**found, "required": list(self._needed)} if self._needed else found
