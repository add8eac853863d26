"""Kinds of limits that a field can have, and what a value beyond one is told."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from unicodedata import normalize

from google.protobuf.descriptor import EnumDescriptor

from rag_common.errors import FieldViolation, InputTooLong
from rag_common.messages import malformed, violation

Violations = Sequence[FieldViolation]

NOTHING: Violations = ()


class Rule(Protocol):
    """What holds for a field that is set. `required` fields must be set."""

    @property
    def required(self) -> bool: ...

    def broken(self, value: Any, path: str) -> Violations:
        """What is wrong with the value, each with the path of what is wrong."""
        ...

    def schema(self) -> dict[str, Any]:
        """The same in the words of JSON Schema, for documentation."""
        ...


@dataclass(frozen=True, slots=True)
class Form:
    """What a whole text, in NFC, must look like, and how that is said."""

    pattern: re.Pattern[str]
    english: str
    korean: str


@dataclass(frozen=True, slots=True)
class Text:
    """A text of at most so many characters; a required one has more in it than white space."""

    most: int
    form: Form | None = None
    required: bool = False

    def broken(self, value: str, path: str) -> Violations:
        if self.required and not value.strip():
            return [violation(path, "REQUIRED")]
        if len(value) > self.most:
            reason = InputTooLong.reason if self.required else "TOO_LONG"
            return [violation(path, reason, size=len(value), most=self.most)]
        if value and self.form and not self.form.pattern.fullmatch(_composed(value)):
            return [malformed(path, self.form.english, self.form.korean)]
        return NOTHING

    def schema(self) -> dict[str, Any]:
        found: dict[str, Any] = {"maxLength": self.most}
        if self.required:
            found["minLength"] = 1
        if self.form:
            found["description"] = self.form.english
        return found


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number from `least` to `most`."""

    least: float
    most: float
    required: bool = False

    def broken(self, value: float, path: str) -> Violations:
        if self.least <= value <= self.most:
            return NOTHING
        return [out_of_range(path, self.least, self.most)]

    def schema(self) -> dict[str, Any]:
        return {"minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that the enum names."""

    enum: EnumDescriptor
    required: bool = False

    def broken(self, value: int, path: str) -> Violations:
        known = value in self.enum.values_by_number
        return NOTHING if known else [violation(path, "UNKNOWN_VALUE")]

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.enum.values_by_name)}


@dataclass(frozen=True, slots=True)
class Flag:
    """Either truth value will do."""

    required: bool = False

    def broken(self, value: bool, path: str) -> Violations:
        return NOTHING

    def schema(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes; at most so many, or as many as the deployment's setting of that name says.

    A setting's limit is kept by who reads the setting, and told as MESSAGE_TOO_LARGE.
    """

    most: int | str
    required: bool = False

    def broken(self, value: bytes, path: str) -> Violations:
        if isinstance(self.most, int) and len(value) > self.most:
            return [violation(path, "TOO_LARGE", most=self.most)]
        return NOTHING

    def schema(self) -> dict[str, Any]:
        return {"description": f"at most {self.most} bytes"}


@dataclass(frozen=True, slots=True)
class Many:
    """At most so many entries, each under its own rule; a required one has one at least."""

    most: int
    each: Rule
    required: bool = False

    def broken(self, values: Sequence[Any], path: str) -> Violations:
        found: list[FieldViolation] = []
        if len(values) > self.most:
            found.append(violation(path, "TOO_MANY", most=self.most))
        for at, value in enumerate(values[: self.most]):
            found.extend(self.each.broken(value, f"{path}[{at}]"))
        return found

    def schema(self) -> dict[str, Any]:
        found = {"maxItems": self.most, "items": self.each.schema()}
        return {**found, "minItems": 1} if self.required else found


def _composed(value: str) -> str:
    return value if value.isascii() else normalize("NFC", value)


def out_of_range(path: str, least: float, most: float) -> FieldViolation:
    """What a number is told that is not from `least` to `most`."""
    return violation(path, "OUT_OF_RANGE", least=_shown(least), most=_shown(most))


def _shown(number: float) -> str:
    whole = abs(number) < 1e15 and number == int(number)
    return f"{int(number):,}" if whole else f"{number:g}"
