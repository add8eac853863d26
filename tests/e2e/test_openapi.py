"""The HTTP API behind Envoy keeps to docs/openapi.json, whatever it is sent."""

import json
import ssl
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from rag_contract.document_ids import is_allowed, is_document_id
from rag_edge.edge_config import EdgeConfig, Provider
from rag_local.backends.envoy import edge
from tests.e2e.httpapi import DOCUMENT, OPERATIONS, closed, unfit
from tests.e2e.platform import Platform
from tests.support.fuzz import at_length
from tests.support.parts import tool

tool("envoy", "make run EDGE=1, or make test")

SCOPES = ("search", "answer", "ingest", "admin")
# Rules between fields, or about what there is: no schema of one field can say them.
TOGETHER = (
    *("retrieval.candidates", "retrieval.filter", "passages", "header", "content"),
    *("page_token", "scopes", "collections", "lifetime"),
)
JSON = "application/json"
# The format of the document that JSON Schema has no words for.
schemathesis.openapi.format(
    "document-id",
    st.text(st.characters(codec="utf-8").filter(is_allowed), min_size=1, max_size=64).filter(
        is_document_id
    ),
)
STATUS = {"$ref": "#/components/schemas/Status"}
# Operations that accept some fit request whatever there is.
CERTAIN = ("Answer", "StreamAnswer", "Search", "CheckGrounding", "GetCapabilities", "ListDocuments")

bounded = settings(
    max_examples=8,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def described(mode: GenerationMode) -> Any:
    """The document as a source of requests: fit ones, or ones with something wrong."""
    schema = schemathesis.openapi.from_dict(closed())
    schema.config.generation.update(modes=[mode])
    # Thousands of requests, generated while tests are collected: for `make test-long`.
    schema.config.phases.coverage.enabled = at_length()
    schema.config.phases.coverage.unexpected_methods = set()
    return schema


FIT = described(GenerationMode.POSITIVE)
# StreamAnswer takes what Answer takes.
WRONG = described(GenerationMode.NEGATIVE).exclude(operation_id="StreamAnswer")
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]


@dataclass(frozen=True, slots=True)
class HttpApi:
    """Where the API is, what its certificate is checked with, and what a call carries."""

    url: str
    ca: Path
    headers: dict[str, str]
    accepted: defaultdict[str, int]

    def send(self, case: Any) -> Any:
        """The reply to a request of the document's; it is one that the document knows, and no failure."""
        reply = case.call(base_url=self.url, headers=self.headers, verify=str(self.ca))
        assert reply.status_code < 500 or reply.status_code == 503, reply.text[:500]
        case.validate_response(reply, checks=CHECKS)
        self.accepted[operation_of(case)] += reply.status_code == 200
        return reply

    def ask(self, path: str, request: dict[str, Any], **headers: str) -> httpx.Response:
        """The reply to a request of one's own."""
        return self.post(path, json.dumps(request).encode(), **headers)

    def post(self, path: str, body: bytes, **headers: str) -> httpx.Response:
        """The reply to any body."""
        inputs = {**self.headers, "content-type": JSON, **headers}
        trust = ssl.create_default_context(cafile=str(self.ca))
        return httpx.post(
            f"{self.url}{path}", content=body, headers=inputs, verify=trust, timeout=60
        )


@pytest.fixture(scope="module")
def api(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpApi]:
    """The platform behind Envoy."""
    with served(platform.jwks) as keys:
        provider = Provider("platform", "rag-dev", ("rag",), keys)
        values = EdgeConfig(port=0, gateways=(platform.target,), providers=(provider,))
        with edge(tmp_path_factory.mktemp("http"), values) as running:
            headers = {"authorization": f"Bearer {platform.token('fuzz', SCOPES)}"}
            url = f"https://localhost:{running.port}"
            yield HttpApi(url, running.ca, headers, defaultdict(int))


@contextmanager
def served(file: Path) -> Iterator[str]:
    """The URL of a file, as an issuer serves its keys."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(file.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/{file.name}"
        server.shutdown()


def operation_of(case: Any) -> str:
    return str(case.operation.definition.raw["operationId"])


def detail(status: dict[str, Any], kind: str) -> dict[str, Any]:
    """The detail of that name in a google.rpc.Status; empty where there is none."""
    result = (one for one in status["details"] if one["@type"].endswith(f".{kind}"))
    return next(result, {})


@FIT.parametrize()
@bounded
def test_a_fit_request_is_refused_only_for_how_its_parts_go_together(
    case: Any, api: HttpApi
) -> None:
    reply = api.send(case)
    if reply.status_code == 400:
        violations = detail(reply.json(), "BadRequest").get("fieldViolations", [])
        assert violations, reply.text
        assert not [v for v in violations if not v["field"].startswith(TOGETHER)], reply.text


@WRONG.parametrize()
@bounded
def test_an_accepted_request_is_within_the_limits_as_protobuf_reads_it(
    case: Any, api: HttpApi
) -> None:
    reply = api.send(case)
    if reply.status_code == 200:
        operation = OPERATIONS[operation_of(case)]
        read = operation.read(reply.request.url, reply.request.body or b"")
        assert not [wrong for message in read for wrong in operation.unfit(message)]
    else:
        assert detail(reply.json(), "ErrorInfo")["reason"], reply.text


@pytest.mark.parametrize("name", CERTAIN)
def test_what_was_sent_reached_the_operation(name: str, api: HttpApi) -> None:
    assert api.accepted[name]


@pytest.mark.parametrize("query", ["When does the warehouse open?", "창고는 언제 여나요?"])
def test_each_line_of_a_stream_is_an_event_of_the_document(query: str, api: HttpApi) -> None:
    reply = api.ask("/v1/answer:stream", {"query": query})
    schema = DOCUMENT["paths"]["/v1/answer:stream"]["post"]["responses"]["200"]["content"]
    events = [json.loads(line) for line in reply.text.splitlines() if line]
    assert events
    assert not [wrong for e in events for wrong in unfit(schema[JSON]["x-item-schema"], e)]


def test_a_stream_is_server_sent_events_where_they_are_asked_for(api: HttpApi) -> None:
    reply = api.ask("/v1/answer:stream", {"query": "x"}, accept="text/event-stream")
    assert reply.headers["content-type"] == "text/event-stream"
    data = [line.removeprefix("data: ") for line in reply.text.splitlines() if line]
    assert list(json.loads(data[0])) == ["started"]
    assert list(json.loads(data[-1])) == ["completed"]


@pytest.mark.parametrize(
    "body",
    [b"not json", b"[]", b'{"query": 5}', b'{"query": "\xff"}', b'{"query": "x", "query": {}}'],
)
def test_what_is_no_request_is_told_so_in_the_error_model(body: bytes, api: HttpApi) -> None:
    reply = api.post("/v1/search", body)
    assert reply.status_code == 400
    assert not unfit(STATUS, reply.json())
    assert detail(reply.json(), "ErrorInfo")["reason"] == "MESSAGE_MALFORMED"


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/search/more", "/v2/search", "/"])
def test_a_path_that_is_not_there_is_told_so_in_the_error_model(path: str, api: HttpApi) -> None:
    reply = api.post(path, b"{}")
    assert reply.status_code == 404
    assert not unfit(STATUS, reply.json())


# A header's name can be more in HTTP than in gRPC, whose server would fail the call for it.
@pytest.mark.parametrize("header", ["+", "x!", "x-some-bin"])
def test_a_header_that_grpc_cannot_carry_is_left_out(header: str, api: HttpApi) -> None:
    assert api.ask("/v1/search", {"query": "x"}, **{header: "???"}).status_code == 200
