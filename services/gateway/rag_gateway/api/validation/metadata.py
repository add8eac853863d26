"""The rule for metadata: texts, numbers, booleans, and lists of texts or of numbers, by plain keys."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

from rag_contract.error_messages import malformed, violation
from rag_contract.errors import FieldViolation
from rag_contract.metadata_rules import KEY, KEY_RULE, NOT_FINITE
from rag_gateway.api.validation.rules import Violations

# The description of a violation in English and in Korean.
Description = tuple[str, str]

_BAD_KIND: Description = (
    "must be a text, a number, a truth value, or a list of texts or numbers",
    "글, 숫자, 참·거짓, 또는 글이나 숫자의 목록이어야 합니다.",
)
_BAD_ITEM: Description = (
    "must be a list of texts or numbers",
    "글이나 숫자의 목록이어야 합니다.",
)


@dataclass(frozen=True, slots=True)
class MetadataRule:
    """At most `keys` keys, `characters` characters of a text, and `entries` entries of a list."""

    keys: int
    characters: int
    entries: int
    required: bool = False

    def violations(self, value: Struct, path: str) -> Violations:
        fields = value.fields
        violations: list[FieldViolation] = []
        if len(fields) > self.keys:
            violations.append(violation(path, "TOO_MANY", max=self.keys))
        for key, item in list(fields.items())[: self.keys]:
            field = f"{path}.{key[:80]}"
            if not KEY.fullmatch(key):
                violations.append(malformed(field, *KEY_RULE))
            violations.extend(malformed(field, *each) for each in self._check(item, nested=False))
        return violations

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

    def _check(self, value: Value, *, nested: bool) -> Iterator[Description]:
        match value.WhichOneof("kind"):
            case "string_value" if len(value.string_value) > self.characters:
                yield (
                    f"has over {self.characters:,} characters",
                    f"{self.characters:,}자를 넘었습니다.",
                )
            case "number_value" if not math.isfinite(value.number_value):
                yield NOT_FINITE
            case "list_value" if not nested:
                yield from self._check_list(value)
            case "null_value" | "struct_value" | "list_value" | None:
                yield _BAD_KIND
            case "bool_value" if nested:
                yield _BAD_ITEM

    def _check_list(self, value: Value) -> Iterator[Description]:
        values = value.list_value.values
        kinds = {item.WhichOneof("kind") for item in values}
        if len(values) > self.entries or len(kinds) > 1:
            yield (
                f"must be at most {self.entries} texts, or at most {self.entries} numbers",
                f"글이나 숫자 중 한 가지로 {self.entries}개까지 쓸 수 있습니다.",
            )
        for item in values[: self.entries]:
            yield from self._check(item, nested=True)
