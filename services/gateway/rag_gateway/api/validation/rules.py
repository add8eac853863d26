"""The kinds of rules for a field and for a message, and the violations that they report."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from unicodedata import normalize

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message

from rag_contract import document_ids, filter_rules
from rag_contract.error_messages import malformed, violation
from rag_contract.errors import FieldViolation, InputTooLong

Violations = Sequence[FieldViolation]

NO_VIOLATIONS: Violations = ()


class Rule(Protocol):
    """A rule for the value of a field that is set. A `required` field must be set."""

    @property
    def required(self) -> bool: ...

    def violations(self, value: Any, path: str) -> Violations:
        """The violations of the value, each with the path of the field concerned."""
        ...

    def schema(self) -> dict[str, Any]:
        """The rule as a JSON Schema, for documentation."""
        ...


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that a complete text, in NFC, must match, and its description in English and Korean."""

    pattern: re.Pattern[str]
    english: str
    korean: str


@dataclass(frozen=True, slots=True)
class Text:
    """A text of at most `maximum` characters; a required one must not be blank."""

    maximum: int
    pattern: Pattern | None = None
    required: bool = False

    def violations(self, value: str, path: str) -> Violations:
        if self.required and not value.strip():
            return [violation(path, "REQUIRED")]
        if len(value) > self.maximum:
            reason = InputTooLong.reason if self.required else "TOO_LONG"
            return [violation(path, reason, size=len(value), max=self.maximum)]
        if value and self.pattern and not self.pattern.pattern.fullmatch(_composed(value)):
            return [malformed(path, self.pattern.english, self.pattern.korean)]
        return NO_VIOLATIONS

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"maxLength": self.maximum}
        if self.required:
            schema["minLength"] = 1
        if self.pattern:
            schema["description"] = self.pattern.english
        return schema


@dataclass(frozen=True, slots=True)
class DocumentId:
    """A document's id; it may be empty unless it is required."""

    required: bool = False

    def violations(self, value: str, path: str) -> Violations:
        if self.required and not value:
            return [violation(path, "REQUIRED")]
        if value and not document_ids.is_document_id(value):
            return [malformed(path, document_ids.ENGLISH, document_ids.KOREAN)]
        return NO_VIOLATIONS

    def schema(self) -> dict[str, Any]:
        """A bound of the length; the exact rule, of bytes and categories, is the format `document-id`."""
        schema: dict[str, Any] = {"maxLength": document_ids.MAX_BYTES, "format": "document-id"}
        return {**schema, "minLength": 1} if self.required else schema


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number from `minimum` to `maximum`."""

    minimum: float
    maximum: float
    required: bool = False

    def violations(self, value: float, path: str) -> Violations:
        if self.minimum <= value <= self.maximum:
            return NO_VIOLATIONS
        return [out_of_range(path, self.minimum, self.maximum)]

    def schema(self) -> dict[str, Any]:
        return {"minimum": self.minimum, "maximum": self.maximum}


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that the enum defines."""

    enum: EnumDescriptor
    required: bool = False

    def violations(self, value: int, path: str) -> Violations:
        known = value in self.enum.values_by_number
        return NO_VIOLATIONS if known else [violation(path, "UNKNOWN_VALUE")]

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.enum.values_by_name)}


@dataclass(frozen=True, slots=True)
class Flag:
    """A boolean."""

    required: bool = False

    def violations(self, value: bool, path: str) -> Violations:
        return NO_VIOLATIONS

    def schema(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True, slots=True)
class Content:
    """At most `maximum` bytes, or the name of the setting that has the limit.

    A setting's limit is checked where the setting is read, and reported as MESSAGE_TOO_LARGE.
    """

    maximum: int | str
    required: bool = False

    def violations(self, value: bytes, path: str) -> Violations:
        if isinstance(self.maximum, int) and len(value) > self.maximum:
            return [violation(path, "TOO_LARGE", max=self.maximum)]
        return NO_VIOLATIONS

    def schema(self) -> dict[str, Any]:
        return {"description": f"at most {self.maximum} bytes"}


@dataclass(frozen=True, slots=True)
class ListRule:
    """At most `maximum` entries, each checked by the rule `each`; a required list must not be empty."""

    maximum: int
    each: Rule
    required: bool = False

    def violations(self, values: Sequence[Any], path: str) -> Violations:
        violations: list[FieldViolation] = []
        if len(values) > self.maximum:
            violations.append(violation(path, "TOO_MANY", max=self.maximum))
        for at, value in enumerate(values[: self.maximum]):
            violations.extend(self.each.violations(value, f"{path}[{at}]"))
        return violations

    def schema(self) -> dict[str, Any]:
        schema = {"maxItems": self.maximum, "items": self.each.schema()}
        return {**schema, "minItems": 1} if self.required else schema


class MessageRule:
    """A rule for each field of a message; a test checks that no field is without one."""

    def __init__(self, fields: Mapping[str, Rule], *, required: bool = False) -> None:
        self.fields = fields
        self.required = required
        self._required = tuple(name for name, rule in fields.items() if rule.required)

    def violations(self, value: Message, path: str) -> Violations:
        """The violations of the fields that are set, and of the required ones that are not set."""
        prefix = f"{path}." if path else ""
        present = [(field.name, item) for field, item in value.ListFields()]
        violations: list[FieldViolation] = []
        for name in self._required:
            if not any(name == other for other, _ in present):
                violations.append(violation(prefix + name, "REQUIRED"))
        for name, item in present:
            violations.extend(self.fields[name].violations(item, prefix + name))
        return violations

    def schema(self) -> dict[str, Any]:
        """The fields by name, for documentation."""
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {name: rule.schema() for name, rule in self.fields.items()},
        }
        return {**schema, "required": list(self._required)} if self._required else schema


class FilterRule(MessageRule):
    """A metadata filter, checked by the rules that are shared with the retriever; `fields` document it."""

    def violations(self, value: Message, path: str) -> Violations:
        """The violations of the filter."""
        return filter_rules.violations(value, path)


def _composed(value: str) -> str:
    return value if value.isascii() else normalize("NFC", value)


def out_of_range(path: str, minimum: float, maximum: float) -> FieldViolation:
    """The violation of a number that is not from `minimum` to `maximum`."""
    return violation(path, "OUT_OF_RANGE", min=_formatted(minimum), max=_formatted(maximum))


def _formatted(number: float) -> str:
    integral = abs(number) < 1e15 and number == int(number)
    return f"{int(number):,}" if integral else f"{number:g}"
