"""gRPC and gRPC-Web through the edge, over TLS, as programs, browsers and people with grpcurl use it."""

import asyncio
import base64
import json
import ssl
import struct
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from rag.gateway.v1 import answer_service_pb2 as answers
from rag.gateway.v1 import document_service_pb2 as documents
from rag.gateway.v1.answer_service_pb2_grpc import AnswerServiceStub
from rag.gateway.v1.document_service_pb2_grpc import DocumentServiceStub
from rag_contract import errors
from rag_contract.status import from_rpc_error
from tests.support.edge.fixtures import ORIGIN, Setting, setting
from tests.support.parts import tool

GRPCURL = tool("grpcurl", "make test")
CURL = tool("curl", "apt-get install curl")
ANSWERS = "/rag.gateway.v1.AnswerService/"


async def test_a_call_and_its_error_arrive_with_everything_in_them(
    placed: Setting, channel: grpc.aio.Channel
) -> None:
    stub: Any = AnswerServiceStub(channel)
    request = answers.SearchRequest(query="질문", request_id="r")
    placed.gateway.says("Search", answers.SearchResponse(request_id="r"))
    assert (await stub.Search(request, metadata=placed.metadata())).request_id == "r"
    assert placed.gateway.heard[0].request == request
    placed.gateway.says("Search", errors.RateLimited("slowly", retry_after=7))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Search(request, metadata=placed.metadata())
    result = from_rpc_error(caught.value)
    assert isinstance(result, errors.RateLimited)
    assert (result.message, result.retry_after) == ("slowly", 7)


async def test_a_stream_goes_both_ways_message_by_message(
    placed: Setting, channel: grpc.aio.Channel
) -> None:
    arrived = asyncio.Event()

    async def replies() -> AsyncIterator[answers.StreamAnswerResponse]:
        yield answers.StreamAnswerResponse(delta=answers.Delta(text="a"))
        await arrived.wait()
        yield answers.StreamAnswerResponse(delta=answers.Delta(text="b"))

    placed.gateway.says("StreamAnswer", replies())
    stub: Any = AnswerServiceStub(channel)
    observed = []
    async for event in stub.StreamAnswer(
        answers.StreamAnswerRequest(query="q"), metadata=placed.metadata()
    ):
        observed.append(event.delta.text)
        arrived.set()
    assert observed == ["a", "b"]


async def test_an_upload_of_any_length_goes_through(
    placed: Setting, channel: grpc.aio.Channel
) -> None:
    async def parts() -> AsyncIterator[documents.UploadDocumentRequest]:
        yield documents.UploadDocumentRequest(header=documents.UploadHeader(collection="wiki"))
        for _ in range(64):
            yield documents.UploadDocumentRequest(content=b"x" * 2**20)

    stub: Any = DocumentServiceStub(channel)
    await stub.UploadDocument(parts(), metadata=placed.metadata())
    [heard] = placed.gateway.heard
    assert sum(len(part.content) for part in heard.request) == 64 * 2**20


async def test_a_message_of_nearly_16_mib_goes_through_whole(
    placed: Setting, channel: grpc.aio.Channel
) -> None:
    stub: Any = DocumentServiceStub(channel)
    request = documents.IngestDocumentRequest(content=b"x" * (16 * 2**20 - 1024))
    await stub.IngestDocument(request, metadata=placed.metadata())
    assert placed.gateway.heard[0].request == request


async def test_the_caller_s_deadline_arrives(placed: Setting, channel: grpc.aio.Channel) -> None:
    stub: Any = AnswerServiceStub(channel)
    await stub.Search(answers.SearchRequest(), metadata=placed.metadata(), timeout=17)
    assert 16 < placed.gateway.remaining <= 17


async def test_a_caller_who_goes_away_stops_the_work(
    placed: Setting, channel: grpc.aio.Channel
) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def forever(_request: Any) -> Any:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    placed.gateway.does("Answer", forever)
    stub: Any = AnswerServiceStub(channel)
    call = stub.Answer(answers.AnswerRequest(), metadata=placed.metadata())
    await asyncio.wait_for(begun.wait(), 20)
    call.cancel()
    await asyncio.wait_for(stopped.wait(), 20)


@pytest.mark.parametrize("offered", [["h2"], ["http/1.1"], ["h2", "http/1.1"]])
async def test_tls_agrees_on_the_protocol(placed: Setting, offered: list[str]) -> None:
    context = placed.trust
    context.set_alpn_protocols(offered)
    assert (await handshake(placed, context)).selected_alpn_protocol() == offered[0]


async def test_tls_older_than_1_2_is_refused(placed: Setting) -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = placed.trust
        context.minimum_version = context.maximum_version = version
        assert (await handshake(placed, context)).version() == version.name.replace("_", ".")
    old = placed.trust
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await handshake(placed, old)


async def handshake(placed: Setting, context: ssl.SSLContext) -> ssl.SSLObject:
    _, writer = await asyncio.open_connection("localhost", placed.edge.port, ssl=context)
    try:
        result: ssl.SSLObject = writer.get_extra_info("ssl_object")
        return result
    finally:
        writer.close()


async def test_without_tls_nobody_is_heard(placed: Setting) -> None:
    with pytest.raises(httpx.TransportError):
        async with httpx.AsyncClient() as client:
            await client.get(f"http://localhost:{placed.edge.port}/health/live")


async def test_health_is_open_to_grpc(channel: grpc.aio.Channel) -> None:
    reply = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


async def run(*command: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), err.decode()


async def grpcurl(placed: Setting, *words: str) -> tuple[int, str, str]:
    address = f"localhost:{placed.edge.port}"
    *flags, verb = words
    return await run(
        GRPCURL, "-cacert", str(placed.edge.ca), "-format-error", *flags, address, *verb.split()
    )


async def test_grpcurl_lists_and_calls(placed: Setting) -> None:
    code, listed, err = await grpcurl(placed, "list")
    assert code == 0, err
    assert "rag.gateway.v1.AnswerService" in listed.split()
    token = f"authorization: {placed.headers()['authorization']}"
    code, reply, err = await grpcurl(placed, "-H", token, f"{ANSWERS[1:]}GetCapabilities")
    assert (code, json.loads(reply)) == (0, {}), err
    code, _, err = await grpcurl(placed, f"{ANSWERS[1:]}GetCapabilities")
    status = json.loads(err[err.index("{") :])
    assert (code != 0, status["code"]) == (True, 16)
    assert status["details"][0]["reason"] == "TOKEN_MISSING"


async def test_reflection_can_be_off(tmp_path: Any) -> None:
    async with setting(tmp_path, reflection=False) as placed:
        token = f"authorization: {placed.headers()['authorization']}"
        code, _, err = await grpcurl(placed, "-H", token, "list")
        assert code != 0
        assert "does not support the reflection API" in err


async def test_the_limiter_behind_the_edge_is_nobody_s_to_ask(
    placed: Setting, channel: grpc.aio.Channel
) -> None:
    from tests.support.edge.gateway import LIMITER

    call = channel.unary_unary(f"/{LIMITER}/ShouldRateLimit")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"", metadata=placed.metadata())
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert isinstance(from_rpc_error(caught.value), errors.Unimplemented)


def framed(message: bytes) -> bytes:
    """A message as gRPC-Web sends it."""
    return struct.pack(">BI", 0, len(message)) + message


def frames(body: bytes) -> list[tuple[int, bytes]]:
    """Flag and content of each frame of a gRPC-Web reply; the one flagged 0x80 has the trailers."""
    result = []
    while body:
        flag, length = struct.unpack(">BI", body[:5])
        result.append((flag, body[5 : 5 + length]))
        body = body[5 + length :]
    return result


def web(placed: Setting, **more: str) -> dict[str, str]:
    return {
        **placed.headers(),
        "content-type": "application/grpc-web+proto",
        "x-grpc-web": "1",
        "origin": ORIGIN,
        **more,
    }


@pytest.mark.parametrize("text", [False, True], ids=["binary", "base64"])
async def test_grpc_web_calls_and_streams(
    placed: Setting, http: httpx.AsyncClient, text: bool
) -> None:
    placed.gateway.says(
        "StreamAnswer",
        [answers.StreamAnswerResponse(delta=answers.Delta(text=word)) for word in ("가", "나")],
    )
    body = framed(answers.StreamAnswerRequest(query="q").SerializeToString())
    form = "application/grpc-web-text" if text else "application/grpc-web+proto"
    reply = await http.post(
        ANSWERS + "StreamAnswer",
        content=base64.b64encode(body) if text else body,
        headers=web(placed, **{"content-type": form, "accept": form}),
    )
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    content = b64_frames(reply.content) if text else reply.content
    *messages, (flag, trailers) = frames(content)
    events = [answers.StreamAnswerResponse.FromString(message) for _, message in messages]
    assert [event.delta.text for event in events] == ["가", "나"]
    assert flag == 0x80
    assert b"grpc-status:0" in trailers
    assert placed.gateway.heard[0].request.query == "q"


def b64_frames(body: bytes) -> bytes:
    """Base64 whose pieces may each end in padding, as gRPC-Web text allows."""
    pieces = [body[start : start + 4] for start in range(0, len(body), 4)]
    return b"".join(base64.b64decode(piece) for piece in pieces)


async def test_grpc_web_is_told_why_it_is_refused(placed: Setting, http: httpx.AsyncClient) -> None:
    headers = {name: value for name, value in web(placed).items() if name != "authorization"}
    reply = await http.post(ANSWERS + "Search", content=framed(b""), headers=headers)
    assert reply.headers["grpc-status"] == "16"
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    assert "grpc-status-details-bin" in reply.headers["access-control-expose-headers"]


async def preflight(
    http: httpx.AsyncClient, origin: str, path: str = "/v1/search"
) -> httpx.Response:
    requested = "authorization,content-type,x-grpc-web,grpc-timeout,x-user-agent"
    return await http.options(
        path,
        headers={
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": requested,
        },
    )


@pytest.mark.parametrize("path", ["/v1/search", "/v1/documents:upload", ANSWERS + "Search"])
async def test_browsers_of_known_origins_may_ask(http: httpx.AsyncClient, path: str) -> None:
    reply = await preflight(http, ORIGIN, path)
    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    allowed = {name.strip() for name in reply.headers["access-control-allow-headers"].split(",")}
    assert {"authorization", "content-type", "x-grpc-web", "grpc-timeout"} <= allowed
    assert "access-control-allow-credentials" not in reply.headers


@pytest.mark.parametrize("origin", ["https://evil.example", f"{ORIGIN}.evil.example", "null"])
async def test_browsers_of_other_origins_may_not(
    placed: Setting, http: httpx.AsyncClient, origin: str
) -> None:
    assert "access-control-allow-origin" not in (await preflight(http, origin)).headers
    reply = await http.get("/v1/identity", headers={**placed.headers(), "origin": origin})
    assert "access-control-allow-origin" not in reply.headers
