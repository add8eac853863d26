"""The public API as JSON: every method, streams, errors, and what is refused."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from google.protobuf.descriptor import MethodDescriptor

from rag.gateway.v1 import answer_service_pb2 as answers
from rag_contract import errors
from tests.support.document_ids import GOOD
from tests.support.edge.fixtures import Setting
from tests.support.edge.gateway import METHODS, TRACE
from tests.support.edge.hostile import Raw

# How each method is asked for by google.api.http: verb, path, body.
ROUTES: dict[str, tuple[str, str, Any]] = {
    "Answer": ("POST", "/v1/answer", {"query": "q"}),
    "StreamAnswer": ("POST", "/v1/answer:stream", {"query": "q"}),
    "Search": ("POST", "/v1/search", {"query": "q"}),
    "CheckGrounding": ("POST", "/v1/grounding:check", {"text": "t"}),
    "GetCapabilities": ("GET", "/v1/capabilities", None),
    "IngestDocument": ("POST", "/v1/collections/wiki/documents", {"content": "eA=="}),
    "UploadDocument": ("POST", "/v1/documents:upload", [{"header": {}}, {"content": "eA=="}]),
    "GetDocument": ("GET", "/v1/collections/wiki/documents/d", None),
    "ListDocuments": ("GET", "/v1/documents?pageSize=7", None),
    "ListPassages": ("GET", "/v1/collections/wiki/documents/d/passages?firstOrdinal=3", None),
    "DeleteDocument": ("DELETE", "/v1/collections/wiki/documents/d", None),
    "GetIdentity": ("GET", "/v1/identity", None),
    "GetQuota": ("GET", "/v1/quota", None),
    "CreateApiKey": ("POST", "/v1/apiKeys", {"displayName": "n"}),
    "ListApiKeys": ("GET", "/v1/apiKeys", None),
    "RevokeApiKey": ("POST", "/v1/apiKeys/k1:revoke", {}),
    "IssueToken": ("POST", "/v1/tokens", {"subject": "s"}),
    "RevokeToken": ("POST", "/v1/tokens:revoke", {"tokenId": "t"}),
}


def reasons(reply: httpx.Response) -> dict[str, Any]:
    """Details of an error by the last word of their type."""
    return {one["@type"].rpartition(".")[2]: one for one in reply.json()["details"]}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_every_method_is_there_as_json(
    placed: Setting, http: httpx.AsyncClient, method: MethodDescriptor
) -> None:
    verb, path, body = ROUTES[method.name]
    reply = await http.request(verb, path, json=body, headers=placed.headers())
    assert reply.status_code == 200, reply.text
    assert [heard.method for heard in placed.gateway.heard] == [method.name]


async def test_path_query_and_body_become_one_request(
    placed: Setting, http: httpx.AsyncClient
) -> None:
    path = "/v1/collections/wiki/documents"
    body = {"document": {"documentId": "d", "title": "제목"}, "content": "eA=="}
    await http.post(path, json=body, headers=placed.headers())
    await http.get("/v1/documents?pageSize=7&collection=wiki", headers=placed.headers())
    ingested, listed = (heard.request for heard in placed.gateway.heard)
    assert (ingested.collection, ingested.document.title, ingested.content) == (
        "wiki",
        "제목",
        b"x",
    )
    assert (listed.page_size, listed.collection) == (7, "wiki")


def path_of(name: str, rest: str = "") -> str:
    """Where a document is; its id is one segment of the path, percent-encoded."""
    return f"/v1/collections/wiki/documents/{quote(name, safe='')}{rest}"


@pytest.mark.parametrize("http2", [True, False], ids=["h2", "h1"])
async def test_any_document_id_fits_into_a_path(placed: Setting, http2: bool) -> None:
    async with placed.http(http1=not http2, http2=http2) as http:
        for name in GOOD.values():
            placed.gateway.heard.clear()
            for verb, rest in (("GET", ""), ("DELETE", ""), ("GET", "/passages")):
                await http.request(verb, path_of(name, rest), headers=placed.headers())
            methods = ["GetDocument", "DeleteDocument", "ListPassages"]
            assert [heard.method for heard in placed.gateway.heard] == methods, name
            assert {heard.request.document_id for heard in placed.gateway.heard} == {name}


@pytest.mark.parametrize("verb", [b"GET", b"DELETE"])
@pytest.mark.parametrize(
    "segment", [".", "..", "%2e", "%2E%2e", ".%2e", "%00", "", "a//b", "./../.."]
)
async def test_a_path_that_is_no_document_s_reaches_none(
    placed: Setting, segment: str, verb: bytes
) -> None:
    """Dot segments are folders in any URL, so that no document can have such an id."""
    async with Raw(placed) as raw:
        token = placed.headers()["authorization"].encode()
        line = await raw.reply(
            b"%s /v1/collections/wiki/documents/%s HTTP/1.1\r\n" % (verb, segment.encode())
            + b"Host: localhost\r\nauthorization: %s\r\n\r\n" % token
        )
    assert line.split()[1] in (b"400", b"404")
    assert not placed.gateway.heard


async def test_names_are_json_s_or_protobuf_s_and_zeroes_are_said(
    placed: Setting, http: httpx.AsyncClient
) -> None:
    placed.gateway.says("Search", answers.SearchResponse(trace_id=TRACE))
    body = {"query": "q", "request_id": "r", "retrieval": {"topK": 3}}
    reply = (await http.post("/v1/search", json=body, headers=placed.headers())).json()
    [heard] = placed.gateway.heard
    assert (heard.request.request_id, heard.request.retrieval.top_k) == ("r", 3)
    assert (reply["traceId"], reply["passages"], reply["requestId"]) == (TRACE, [], "")


def deltas(count: int) -> list[answers.StreamAnswerResponse]:
    return [
        answers.StreamAnswerResponse(delta=answers.Delta(sequence=n, text="한글\n"))
        for n in range(count)
    ]


async def test_a_stream_is_lines_of_json(placed: Setting, http: httpx.AsyncClient) -> None:
    placed.gateway.says("StreamAnswer", deltas(3))
    reply = await http.post("/v1/answer:stream", json={"query": "q"}, headers=placed.headers())
    lines = [json.loads(line) for line in reply.text.splitlines()]
    assert lines == [{"delta": {"sequence": n, "text": "한글\n"}} for n in range(3)]


async def test_a_stream_is_server_sent_events_where_the_client_says_so(
    placed: Setting, http: httpx.AsyncClient
) -> None:
    placed.gateway.says("StreamAnswer", deltas(2))
    headers = {**placed.headers(), "accept": "text/event-stream"}
    reply = await http.post("/v1/answer:stream", json={"query": "q"}, headers=headers)
    assert reply.headers["content-type"] == "text/event-stream"
    events = [event.removeprefix("data: ") for event in reply.text.split("\n\n") if event]
    assert [json.loads(event)["delta"]["sequence"] for event in events] == [0, 1]


async def test_each_event_comes_when_it_is_said(placed: Setting, http: httpx.AsyncClient) -> None:
    """The second is not sent before the first has arrived."""
    import asyncio

    arrived = asyncio.Event()

    async def replies() -> AsyncIterator[answers.StreamAnswerResponse]:
        first, second = deltas(2)
        yield first
        await arrived.wait()
        yield second

    placed.gateway.says("StreamAnswer", replies())
    request = http.stream(
        "POST", "/v1/answer:stream", json={"query": "q"}, headers=placed.headers()
    )
    observed = []
    async with request as reply:
        async for line in reply.aiter_lines():
            observed.append(line)
            arrived.set()
    assert len(observed) == 2


async def test_an_upload_is_a_list_whose_parts_go_on_one_by_one(
    placed: Setting, http: httpx.AsyncClient
) -> None:
    piece = base64.b64encode(b"x" * 2**20).decode()
    header = {"header": {"collection": "wiki", "document": {"documentId": "d"}}}
    parts = [header, *({"content": piece} for _ in range(24))]
    reply = await http.post("/v1/documents:upload", json=parts, headers=placed.headers())
    assert reply.status_code == 200
    [heard] = placed.gateway.heard
    assert heard.request[0].header.collection == "wiki"
    assert sum(len(part.content) for part in heard.request) == 24 * 2**20


async def test_an_error_is_a_google_rpc_status_with_its_details(
    placed: Setting, http: httpx.AsyncClient
) -> None:
    error = errors.FieldInvalid.of("query", "is empty")
    placed.gateway.says("Search", error)
    reply = await http.post("/v1/search", json={}, headers=placed.headers())
    assert reply.status_code == 400
    assert (reply.json()["code"], reply.json()["message"]) == (3, error.message)
    result = reasons(reply)
    assert result["ErrorInfo"]["reason"] == "FIELD_INVALID"
    assert result["BadRequest"]["fieldViolations"][0]["field"] == "query"
    assert result["RequestInfo"]["servingData"] == f"trace_id={TRACE}"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.TokenExpired("no"), 401),
        (errors.ScopeMissing("no"), 403),
        (errors.DocumentNotFound("no"), 404),
        (errors.DocumentConflict("no"), 409),
        # Also RESOURCE_EXHAUSTED in gRPC; 429 would invite to send the same again.
        (errors.MessageTooLarge("no"), 413),
        (errors.RateLimited("no", retry_after=2), 429),
        (errors.TokenBudget("no"), 429),
        (errors.Internal("no"), 500),
        (errors.Draining("no", retry_after=2), 503),
        (errors.DeadlineExceeded("no"), 504),
    ],
)
async def test_each_code_has_its_http_status(
    placed: Setting, http: httpx.AsyncClient, error: errors.AppError, status: int
) -> None:
    placed.gateway.says("Answer", error)
    reply = await http.post("/v1/answer", json={"query": "q"}, headers=placed.headers())
    assert reply.status_code == status
    assert reasons(reply)["ErrorInfo"]["reason"] == error.reason


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/v1/search?quarry=x", {"query": "q"}, "quarry"),
        ("/v1/search", {"query": 7}, "query"),
        ("/v1/search", {"retrieval": {"topK": "many"}}, "top"),
        ("/v1/search", "no object", ""),
    ],
)
async def test_what_cannot_be_read_is_refused_in_the_form_of_every_error(
    placed: Setting, http: httpx.AsyncClient, path: str, body: Any, said: str
) -> None:
    reply = await http.post(path, json=body, headers=placed.headers())
    assert reply.status_code == 400
    assert reply.json()["code"] == 3
    assert said in reply.json()["message"]
    assert reasons(reply)["ErrorInfo"]["reason"] == "MESSAGE_MALFORMED"
    assert not placed.gateway.heard


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/v1/nothing"),
        ("GET", "/v1/search"),
        ("POST", "/v1/capabilities"),
        ("GET", "/"),
        ("GET", "/metrics"),
        ("GET", "/stats/prometheus"),
        ("POST", "/rag.gateway.v1.AnswerService/Search"),
        ("POST", "/rag.retriever.v1.RetrieverService/Search"),
    ],
)
async def test_what_is_not_there_is_not_found(
    placed: Setting, http: httpx.AsyncClient, verb: str, path: str
) -> None:
    reply = await http.request(verb, path, headers=placed.headers())
    assert reply.status_code == 404
    assert reasons(reply)["ErrorInfo"]["reason"] == "METHOD_UNKNOWN"
    assert not placed.gateway.heard


async def test_a_reply_over_the_limit_says_so(placed: Setting, http: httpx.AsyncClient) -> None:
    placed.gateway.says("Search", answers.SearchResponse(query_terms=["x" * 17 * 2**20]))
    reply = await http.post("/v1/search", json={"query": "q"}, headers=placed.headers())
    assert reply.status_code == 500
    assert reasons(reply)["ErrorInfo"]["reason"] == "MESSAGE_TOO_LARGE"


async def test_every_reply_tells_browsers_to_keep_their_hands_off(
    placed: Setting, http: httpx.AsyncClient
) -> None:
    for path in ("/v1/capabilities", "/v1/nothing", "/health/live", "/.well-known/jwks.json"):
        for headers in (placed.headers(), {}):
            result = (await http.get(path, headers=headers)).headers
            assert result["strict-transport-security"].startswith("max-age=31536000")
            assert result["x-content-type-options"] == "nosniff"
            assert result["x-frame-options"] == "DENY"
            assert result["content-security-policy"].startswith("default-src 'none'")
            assert result["cache-control"] == "no-store"
            assert result["server"] == "rag"
            assert not [name for name in result if name.startswith("x-envoy")]


async def test_health_is_open_and_ready_only_as_the_gateway_is(
    placed: Setting, http: httpx.AsyncClient
) -> None:
    assert (await http.get("/health/live")).json() == {"status": "live"}
    assert (await http.get("/health/ready")).status_code == 200
    placed.gateway.ready = False
    reply = await http.get("/health/ready")
    assert (reply.status_code, reply.json()) == (503, {"ready": False})


async def test_the_public_keys_are_public(placed: Setting, http: httpx.AsyncClient) -> None:
    reply = await http.get("/.well-known/jwks.json")
    assert reply.json() == {"keys": [placed.signer.jwk]}
