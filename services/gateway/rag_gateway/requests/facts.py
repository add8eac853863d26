"""The limit of metadata: texts, numbers, truth values, and lists of texts or of numbers, by plain keys."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

from rag_common.errors import FieldViolation
from rag_common.messages import malformed, violation
from rag_gateway.requests.rules import Violations

Wrong = tuple[str, str]

KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")

_BAD_KEY: Wrong = (
    "is not a letter, then letters, digits, _",
    "키는 영문자로 시작하고 영문자, 숫자, _만 쓸 수 있습니다.",
)
_BAD_KIND: Wrong = (
    "must be a text, a number, a truth value, or a list of texts or numbers",
    "글, 숫자, 참·거짓, 또는 글이나 숫자의 목록이어야 합니다.",
)
_BAD_ITEM: Wrong = (
    "must be a list of texts or numbers",
    "글이나 숫자의 목록이어야 합니다.",
)
_NO_NUMBER: Wrong = ("is not a finite number", "유한한 숫자가 아닙니다.")


@dataclass(frozen=True, slots=True)
class Facts:
    """At most so many keys; of each value at most so many characters, of a list so many entries."""

    keys: int
    characters: int
    entries: int
    required: bool = False

    def broken(self, value: Struct, path: str) -> Violations:
        fields = value.fields
        found: list[FieldViolation] = []
        if len(fields) > self.keys:
            found.append(violation(path, "TOO_MANY", most=self.keys))
        for key, item in list(fields.items())[: self.keys]:
            field = f"{path}.{key[:80]}"
            if not KEY.fullmatch(key):
                found.append(malformed(field, *_BAD_KEY))
            found.extend(malformed(field, *wrong) for wrong in self._unfit(item, nested=False))
        return found

    def schema(self) -> dict[str, Any]:
        text = {"type": "string", "maxLength": self.characters}
        scalars = [text, {"type": "number"}, {"type": "boolean"}]
        lists = [
            {"type": "array", "maxItems": self.entries, "items": item}
            for item in (text, {"type": "number"})
        ]
        return {
            "maxProperties": self.keys,
            "propertyNames": {"pattern": f"^{KEY.pattern}$"},
            "additionalProperties": {"anyOf": [*scalars, *lists]},
        }

    def _unfit(self, value: Value, *, nested: bool) -> Iterator[Wrong]:
        match value.WhichOneof("kind"):
            case "string_value" if len(value.string_value) > self.characters:
                yield (
                    f"has over {self.characters:,} characters",
                    f"{self.characters:,}자를 넘었습니다.",
                )
            case "number_value" if not math.isfinite(value.number_value):
                yield _NO_NUMBER
            case "list_value" if not nested:
                yield from self._unfit_list(value)
            case "null_value" | "struct_value" | "list_value" | None:
                yield _BAD_KIND
            case "bool_value" if nested:
                yield _BAD_ITEM

    def _unfit_list(self, value: Value) -> Iterator[Wrong]:
        values = value.list_value.values
        kinds = {item.WhichOneof("kind") for item in values}
        if len(values) > self.entries or len(kinds) > 1:
            yield (
                f"must be at most {self.entries} texts, or at most {self.entries} numbers",
                f"글이나 숫자 중 한 가지로 {self.entries}개까지 쓸 수 있습니다.",
            )
        for item in values[: self.entries]:
            yield from self._unfit(item, nested=True)
