"""Converts payloads to Qdrant's protobuf values and back.

The messages are built directly and in place: the client library's pydantic models took twice the
processor time of a search, and copies of messages twice that of storing a chunk.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any

from rag_retriever.engines.payload import Payload
from rag_retriever.engines.server.messages import pb


def set_values(values: MutableMapping[str, pb.Value], payload: Payload) -> None:
    """Set the fields of a message's payload. Raises TypeError for a value that JSON does not have."""
    for key, value in payload.items():
        _set_value(values[key], value)


def from_values(values: Mapping[str, pb.Value]) -> Payload:
    """The payload of a point in a response."""
    return {key: _from_value(value) for key, value in values.items()}


def _set_value(target: pb.Value, value: Any) -> None:
    if isinstance(value, str):
        target.string_value = value
    # A bool is an int too.
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int):
        target.integer_value = value
    elif isinstance(value, float):
        target.double_value = value
    elif isinstance(value, Mapping):
        target.struct_value.SetInParent()
        set_values(target.struct_value.fields, dict(value))
    elif isinstance(value, list | tuple):
        target.list_value.SetInParent()
        for one in value:
            _set_value(target.list_value.values.add(), one)
    elif value is None:
        target.null_value = pb.NULL_VALUE
    else:
        raise TypeError(f"a payload cannot contain {type(value).__name__}")


def _from_value(value: pb.Value) -> Any:
    # Most values are texts; an empty or another value has none.
    if value.string_value:
        return value.string_value
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return from_values(value.struct_value.fields)
    if kind == "list_value":
        return [_from_value(one) for one in value.list_value.values]
    return None if kind in (None, "null_value") else getattr(value, kind)
