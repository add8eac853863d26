"""docs/openapi.json is an OpenAPI document, and says what the contract says."""

import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api import annotations_pb2
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from rag_contract.status import tree
from rag_gateway.api.validation.limits import QUERY_CHARACTERS
from tests.e2e.httpapi import DOCUMENT, OPERATIONS, unfit
from tests.support.parts import require

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = DOCUMENT["components"]["schemas"]
METHODS: dict[str, MethodDescriptor] = {
    method.name: method
    for name in ("access", "answer", "document")
    for service in importlib.import_module(
        f"rag.gateway.v1.{name}_service_pb2"
    ).DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in the document."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from parts(inner)
    if isinstance(value, list):
        for inner in value:
            yield from parts(inner)


def reply_schema(name: str) -> dict[str, Any]:
    content = OPERATIONS[name].content["responses"]["200"]["content"]["application/json"]
    result: dict[str, Any] = content[
        "x-item-schema" if METHODS[name].server_streaming else "schema"
    ]
    return result


def filled(kind: Any, depth: int = 0) -> Message:
    """A message with something in every field, and in the first of each oneof."""
    created: Message = message_factory.GetMessageClass(kind)()
    for field in kind.fields:
        group = field.containing_oneof
        if depth < 6 and not (group and field != group.fields[0]):
            fill(created, field, depth)
    return created


def fill(made: Message, field: FieldDescriptor, depth: int) -> None:
    kind = field.message_type
    if kind and kind.full_name == "google.protobuf.Struct":
        getattr(made, field.name).update({"team": "hr", "year": 2026, "tags": ["a"]})
    elif kind and field.is_repeated:
        getattr(made, field.name).append(filled(kind, depth + 1))
    elif kind:
        getattr(made, field.name).CopyFrom(filled(kind, depth + 1))
    else:
        value = {FieldDescriptor.TYPE_STRING: "a", FieldDescriptor.TYPE_BYTES: b"a"}.get(
            field.type, 1
        )
        if field.is_repeated:
            getattr(made, field.name).append(value)
        else:
            setattr(made, field.name, value)


def generated(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tools.docs.openapi", *words],
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_the_committed_document_is_current() -> None:
    done = generated(ROOT, "--check")
    assert done.returncode == 0, done.stderr


def test_a_change_of_the_contract_makes_the_document_stale(tmp_path: Path) -> None:
    for name in ("tools", "protos"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "docs").mkdir()
    assert generated(tmp_path).returncode == 0
    assert generated(tmp_path, "--check").returncode == 0
    contract = tmp_path / "protos" / "rag" / "gateway" / "v1" / "answer_service.proto"
    text = contract.read_text("utf-8")
    contract.write_text(text.replace("// A search request.", "// Another comment."), "utf-8")
    done = generated(tmp_path, "--check")
    assert done.returncode == 1
    assert "make openapi" in done.stderr


def test_the_document_is_valid_openapi() -> None:
    require("openapi_spec_validator", "make test")
    from openapi_spec_validator import OpenAPIV31SpecValidator

    assert not list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors())


def test_every_public_method_is_an_operation_and_no_other_is() -> None:
    listed = [operation for verbs in DOCUMENT["paths"].values() for operation in verbs.values()]
    assert sorted(operation["operationId"] for operation in listed) == sorted(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_an_operation_is_where_the_contract_puts_it(name: str) -> None:
    rule = METHODS[name].GetOptions().Extensions[annotations_pb2.http]
    here = OPERATIONS[name]
    bound = [one for one in here.content.get("parameters", []) if one["in"] == "path"]
    assert here.verb == rule.WhichOneof("pattern")
    assert here.path.count("{") == len(bound) == getattr(rule, here.verb).count("{")
    assert all(f"{{{one['name']}}}" in here.path for one in bound)
    assert ("requestBody" in here.content) == bool(rule.body)


def test_every_schema_that_is_referred_to_is_there_and_every_other_is_gone() -> None:
    used = {part["$ref"] for part in parts(DOCUMENT) if "$ref" in part}
    there = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "responses")
        for name in DOCUMENT["components"][kind]
    }
    assert used | {"#/components/schemas/Status"} == there


def test_operations_their_parameters_and_the_fields_of_requests_are_described() -> None:
    for name, method in METHODS.items():
        operation = OPERATIONS[name].content
        request = SCHEMAS.get(method.input_type.name, {}).get("properties", {})
        for part in (operation, *operation.get("parameters", ()), *request.values()):
            assert part["description"], (name, part)
        assert operation["summary"]


@pytest.mark.parametrize("name", METHODS)
def test_empty_and_full_replies_fit_as_envoy_prints_them(name: str) -> None:
    kind, schema = METHODS[name].output_type, reply_schema(name)
    for reply in (message_factory.GetMessageClass(kind)(), filled(kind)):
        printed = json_format.MessageToDict(reply, always_print_fields_with_no_presence=True)
        assert unfit(schema, printed) == []
    required = SCHEMAS[schema["$ref"].rpartition("/")[2]].get("required")
    assert bool(unfit(schema, {})) == bool(required)


def test_every_example_is_one() -> None:
    examples = [(p, one) for p in parts(DOCUMENT) for one in p.get("examples", ())]
    assert examples
    assert not [one for schema, one in examples if unfit(schema, one)]
    for schema, one in examples:
        if str(one).endswith("s"):
            Duration().FromJsonString(one)
        elif schema.get("format") == "date-time":
            Timestamp().FromJsonString(one)


def test_the_limits_are_those_of_the_gateway() -> None:
    query = SCHEMAS["SearchRequest"]["properties"]["query"]
    assert query["maxLength"] == QUERY_CHARACTERS
    assert "query" in SCHEMAS["SearchRequest"]["required"]


def test_the_reasons_are_those_of_the_errors() -> None:
    reasons = {kind.reason for kind in tree()}
    assert set(SCHEMAS["ErrorInfo"]["properties"]["reason"]["enum"]) == reasons
    output = "".join(one["description"] for one in DOCUMENT["components"]["responses"].values())
    assert not [reason for reason in reasons - {"CANCELLED"} if f"- {reason}: " not in output]
