"""The HTTP API as its OpenAPI document describes it: what a request means, and whether a value keeps to it."""

import importlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import jsonschema_rs
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

DOCUMENT: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[2] / "docs" / "openapi.json").read_text("utf-8")
)
for _name in ("access", "answer", "document"):
    importlib.import_module(f"rag.gateway.v1.{_name}_service_pb2")


@dataclass(frozen=True)
class Operation:
    """One operation of the document."""

    verb: str
    path: str
    content: Mapping[str, Any]

    @cached_property
    def method(self) -> MethodDescriptor:
        """The gRPC method behind it."""
        service, _, name = self.content["x-grpc-method"].strip("/").partition("/")
        return descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]

    def read(self, url: str, body: bytes) -> list[Message]:
        """The messages that a request means by protobuf's own rules.

        None at all where it means nothing by them: Envoy's are wider, and take one value for a list, say.
        """
        bound = dict(self._bound(urlsplit(url).path))
        query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
        inputs = json.loads(body) if body else {}
        parts = inputs if self.method.client_streaming else [inputs]
        try:
            return [self._message({**part, **query, **bound}) for part in parts]
        except json_format.ParseError:
            return []

    def unfit(self, message: Message) -> Iterator[str]:
        """In what the message is beyond the document's limits."""
        result = json_format.MessageToDict(message)
        for parameter in self.content.get("parameters", ()):
            if parameter["name"] in result:
                yield from unfit(parameter["schema"], result.pop(parameter["name"]))
        if "requestBody" in self.content:
            schema = self.content["requestBody"]["content"]["application/json"]["schema"]
            yield from unfit(schema["items"] if self.method.client_streaming else schema, result)

    def _message(self, fields: Mapping[str, Any]) -> Message:
        kind = message_factory.GetMessageClass(self.method.input_type)
        return json_format.ParseDict(fields, kind(), ignore_unknown_fields=True)

    def _bound(self, path: str) -> Iterator[tuple[str, str]]:
        for place, inputs in zip(self.path.split("/"), path.split("/"), strict=True):
            if place.startswith("{"):
                name, _, verb = place[1:].partition("}")
                yield name, unquote(inputs.removesuffix(verb))


OPERATIONS = {
    content["operationId"]: Operation(verb, path, content)
    for path, verbs in DOCUMENT["paths"].items()
    for verb, content in verbs.items()
}


def unfit(schema: Mapping[str, Any], value: Any) -> list[str]:
    """In what a JSON value differs from a schema of the document."""
    whole = {**schema, "components": DOCUMENT["components"]}
    result = jsonschema_rs.Draft202012Validator(whole, validate_formats=True).iter_errors(value)
    return [f"{error.instance_path}: {error.message[:300]}" for error in result]


def closed() -> dict[str, Any]:
    """The document with no room for fields that it does not name, in requests or replies."""
    created: dict[str, Any] = json.loads(json.dumps(DOCUMENT))
    schemas = created["components"]["schemas"]
    details = schemas["Status"]["properties"]["details"]["items"]["oneOf"]
    open_ones = {detail["$ref"].rpartition("/")[2] for detail in details}  # they get an @type
    for name, schema in schemas.items():
        if "properties" in schema and name not in open_ones:
            schema["additionalProperties"] = False
    return created
