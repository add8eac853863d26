"""JSON schemas of protobuf messages, as Envoy's gRPC-JSON transcoder takes and gives them."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

Schema = dict[str, Any]

_INTEGER_TEXT = {
    "type": "string",
    "format": "int64",
    "pattern": "^-?[0-9]{1,19}$",
    "examples": ["42"],
}
_UNSIGNED_TEXT = {
    "type": "string",
    "format": "uint64",
    "pattern": "^[0-9]{1,20}$",
    "examples": ["42"],
}
_INT32 = {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1}
_UINT32 = {"type": "integer", "format": "uint32", "minimum": 0, "maximum": 2**32 - 1}
_SCALARS: dict[int, Schema] = {
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_INT64: _INTEGER_TEXT,
    FieldDescriptor.TYPE_SINT64: _INTEGER_TEXT,
    FieldDescriptor.TYPE_SFIXED64: _INTEGER_TEXT,
    FieldDescriptor.TYPE_UINT64: _UNSIGNED_TEXT,
    FieldDescriptor.TYPE_FIXED64: _UNSIGNED_TEXT,
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_SINT32: _INT32,
    FieldDescriptor.TYPE_SFIXED32: _INT32,
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_FIXED32: _UINT32,
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "format": "byte", "contentEncoding": "base64"},
}
# Types with a JSON form of their own (https://protobuf.dev/programming-guides/json/).
WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Duration": {
        "type": "string",
        "pattern": r"^-?[0-9]{1,11}(\.[0-9]{1,9})?s$",
        "examples": ["3.5s"],
    },
    "google.protobuf.Timestamp": {
        "type": "string",
        "format": "date-time",
        "examples": ["2026-01-31T09:00:00Z"],
    },
    "google.protobuf.FieldMask": {"type": "string"},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.Value": {},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Empty": {"type": "object"},
}


class Schemas:
    """Schemas by name, each message and enum once.

    `limits` are further keywords of fields, `given` the fields that are always there, by full name.
    """

    def __init__(
        self,
        comments: Mapping[str, str],
        limits: Mapping[str, Schema],
        given: Collection[str],
    ) -> None:
        self._comments = comments
        self._limits = limits
        self._given = given
        self._kinds: dict[str, str] = {}
        self.components: dict[str, Schema] = {}

    def message(self, kind: Descriptor, without: Collection[str] = ()) -> Schema:
        """A reference to the message's schema, which lacks the fields that the path gives."""
        if kind.full_name in WELL_KNOWN:
            return WELL_KNOWN[kind.full_name]
        return self._component(kind, lambda: self._fields(kind, without))

    def field(self, field: FieldDescriptor) -> Schema:
        """The schema of a field, with its limits and its comment."""
        entry = field.message_type
        if entry and entry.GetOptions().map_entry:
            values = self._one(entry.fields_by_name["value"])
            one: Schema = {"type": "object", "additionalProperties": values}
        else:
            one = self._one(field)
            one = {"type": "array", "items": one} if field.is_repeated else one
        return self._limited(one, field.full_name)

    def _one(self, field: FieldDescriptor) -> Schema:
        if field.message_type:
            return self.message(field.message_type)
        if field.enum_type:
            kind = field.enum_type
            return self._component(kind, lambda: self._values(kind))
        return _SCALARS[field.type]

    def _limited(self, one: Schema, name: str) -> Schema:
        limits = dict(self._limits.get(name, {}))
        if one.get("type") == "string":  # of a number as text, JSON Schema cannot say the range
            limits = {k: v for k, v in limits.items() if k not in ("minimum", "maximum")}
        if "items" in limits:
            limits["items"] = {**one["items"], **limits["items"]}
        texts = [self._comments.get(name, ""), _sentence(limits.pop("description", ""))]
        about = " ".join(filter(None, texts))
        return {**one, **limits, **({"description": about} if about else {})}

    def _component(self, kind: Descriptor | EnumDescriptor, make: Callable[[], Schema]) -> Schema:
        name = kind.full_name.removeprefix(f"{kind.file.package}.")
        if self._kinds.setdefault(name, kind.full_name) != kind.full_name:
            raise ValueError(f"{kind.full_name} and {self._kinds[name]} would both be {name}")
        if name not in self.components:
            self.components[name] = {}
            self.components[name] = make()
        return {"$ref": f"#/components/schemas/{name}"}

    def _fields(self, kind: Descriptor, without: Collection[str]) -> Schema:
        fields = [field for field in kind.fields if field.name not in without]
        created: Schema = {"type": "object", **self._said(kind.full_name)}
        created["properties"] = {field.json_name: self.field(field) for field in fields}
        inputs = [field.json_name for field in fields if field.full_name in self._given]
        if inputs:
            created["required"] = inputs
        choices = [_at_most_one(names) for names in _oneofs(kind)]
        return {**created, **({"allOf": choices} if choices else {})}

    def _values(self, kind: EnumDescriptor) -> Schema:
        about = [self._comments.get(kind.full_name, ""), ""]
        about += [
            f"- {value.name}: {self._comments.get(f'{kind.full_name}.{value.name}', '')}"
            for value in kind.values
        ]
        names = [value.name for value in kind.values]
        return {"type": "string", "enum": names, "description": "\n".join(about).strip()}

    def _said(self, name: str) -> Schema:
        return {"description": self._comments[name]} if name in self._comments else {}


def reachable(kind: Descriptor, found: set[str] | None = None) -> set[str]:
    """Full names of a message and of all messages in it."""
    found = set() if found is None else found
    if kind.full_name not in found:
        found.add(kind.full_name)
        for field in kind.fields:
            if field.message_type:
                reachable(field.message_type, found)
    return found


def always_given(kind: Descriptor) -> set[str]:
    """The fields that a message and all messages in it have in a reply, whatever their values."""
    kinds = (kind.file.pool.FindMessageTypeByName(name) for name in reachable(kind))
    return {field.full_name for one in kinds for field in one.fields if not field.has_presence}


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _oneofs(kind: Descriptor) -> Iterator[list[str]]:
    for group in kind.oneofs:
        names = [field.json_name for field in group.fields]
        if not group.name.startswith("_"):  # that of an `optional` field
            yield names


def _at_most_one(names: list[str]) -> Schema:
    each = [{"required": [name]} for name in names]
    return {"oneOf": [*each, {"not": {"anyOf": each}}]}
