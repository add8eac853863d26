"""Operations of the HTTP API: each method of a service as its google.api.http rule puts it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from google.api import annotations_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from tools.docs.openapi.failures import failures
from tools.docs.openapi.schemas import WELL_KNOWN, Schema, Schemas

_BOUND = re.compile(r"{(\w+)}")
_FIRST_SENTENCE = re.compile(r"(?<=\.) ")


@dataclass(frozen=True, slots=True)
class Operations:
    """Makes operations of methods, with the comments on them and the scopes that they need."""

    schemas: Schemas
    comments: Mapping[str, str]
    scopes: Mapping[str, str | None]

    def paths(self, methods: Sequence[MethodDescriptor]) -> Schema:
        """All methods by path and verb. Raises ValueError where one has no place of its own."""
        created: Schema = {}
        names: set[str] = set()
        for method in methods:
            verb, template, body = _rule(method)
            verbs = created.setdefault(_path(method.input_type, template), {})
            if verb in verbs or method.name in names:
                raise ValueError(f"{method.full_name} is not alone on its path or with its name")
            names.add(method.name)
            verbs[verb] = self._operation(method, _BOUND.findall(template), body)
        return created

    def _operation(self, method: MethodDescriptor, bound: list[str], body: str) -> Schema:
        text = self.comments[method.full_name]
        scope = self.scopes[grpc_path(method)]
        created: Schema = {
            "operationId": method.name,
            "tags": [method.containing_service.name],
            "summary": _FIRST_SENTENCE.split(text)[0],
            "description": text,
            "security": [{kind: [scope] if scope else []} for kind in ("token", "apiKey")],
            "x-grpc-method": grpc_path(method),
        }
        parameters = list(self._parameters(method.input_type, bound, body))
        if parameters:
            created["parameters"] = parameters
        if body:
            created["requestBody"] = self._body(method, bound, body)
        created["responses"] = {"200": self._reply(method), **failures()}
        return created

    def _parameters(self, kind: Descriptor, bound: list[str], body: str) -> Iterator[Schema]:
        for name in bound:
            field = kind.fields_by_name[name]
            yield self._parameter("path", field.json_name, field)
        if body != "*":
            for field in kind.fields:
                if field.name not in (*bound, body):
                    yield from self._query(field, "")

    def _query(self, field: FieldDescriptor, parent: str) -> Iterator[Schema]:
        """A field as query parameters: those of a message one by one, as a.b; none for a list of messages."""
        name = f"{parent}{field.json_name}"
        kind = field.message_type
        if kind is None or WELL_KNOWN.get(kind.full_name, {}).get("type") == "string":
            yield self._parameter("query", name, field)
        elif not field.is_repeated and kind.full_name not in WELL_KNOWN:
            for inner in kind.fields:
                yield from self._query(inner, f"{name}.")

    def _parameter(self, place: str, name: str, field: FieldDescriptor) -> Schema:
        schema = {**self.schemas.field(field)}
        created = {"name": name, "in": place, "required": place == "path"}
        created["description"] = schema.pop("description", "")
        return {**created, "schema": schema}

    def _body(self, method: MethodDescriptor, bound: list[str], body: str) -> Schema:
        if body == "*":
            schema = self.schemas.message(method.input_type, without=bound)
        else:
            schema = self.schemas.field(method.input_type.fields_by_name[body])
        if method.client_streaming:
            schema = {"type": "array", "items": schema}
        return {"required": True, "content": {"application/json": {"schema": schema}}}

    def _reply(self, method: MethodDescriptor) -> Schema:
        schema = self.schemas.message(method.output_type)
        about = self.comments[method.output_type.full_name]
        if method.server_streaming:
            content = {"x-item-schema": schema}  # `itemSchema` from OpenAPI 3.2 on
            return {
                "description": f"A stream of JSON objects, one per line, or of server-sent events. {about}",
                "content": {"application/json": content, "text/event-stream": content},
            }
        return {"description": about, "content": {"application/json": {"schema": schema}}}


def grpc_path(method: MethodDescriptor) -> str:
    """The method as gRPC calls it."""
    return f"/{method.containing_service.full_name}/{method.name}"


def _rule(method: MethodDescriptor) -> tuple[str, str, str]:
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    if not verb:
        raise ValueError(f"{method.full_name} has no HTTP form")
    return verb, getattr(rule, verb), rule.body


def _path(kind: Descriptor, template: str) -> str:
    return _BOUND.sub(lambda name: f"{{{kind.fields_by_name[name[1]].json_name}}}", template)
