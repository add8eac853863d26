"""A refused call is answered in full: status, error contract, and no reset stream, whatever the client."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import h2.events
import httpx
import pytest
import pytest_asyncio

from rag.gateway.v1 import document_service_pb2 as documents
from rag.gateway.v1.document_service_pb2_grpc import DocumentServiceStub
from rag_contract import errors
from rag_contract.status import from_rpc_error
from tests.component.edge.test_attacks import HEAD, MIB, others_are_served, resident
from tests.component.edge.test_grpc import CURL, run
from tests.support.edge.fixtures import Setting, setting
from tests.support.edge.hostile import Http2, Raw
from tests.support.waiting import until

QUESTION = b'{"query":"q"}'
# Over the limit of a JSON body, under that of what is read and discarded.
LARGE = b'{"query":"' + b"x" * 5 * MIB + b'"}'
PIECES = b'[{"header":{}}' + (b',{"content":"' + b"eHh4" * 300 + b'"}') * 4096 + b"]"
UPLOAD = "/v1/documents:upload"


@dataclass(frozen=True)
class Refused:
    """A request and what it is refused with; the token is a good one unless it says otherwise."""

    status: int
    reason: str
    path: str = "/v1/answer"
    body: bytes = QUESTION
    token: str | None = "good"
    sized: bool = True
    headers: dict[str, str] = field(default_factory=dict)

    def all_headers(self, placed: Setting) -> dict[str, str]:
        good = placed.signer.token()
        given = {"good": good, "other": good[:-9] + "AAAAAAAAA"}.get(self.token or "", self.token)
        result = {"content-type": "application/json", **self.headers}
        if given is not None:
            result["authorization"] = f"Bearer {given}"
        if self.sized:
            result["content-length"] = str(len(self.body))
        return result


REFUSED = {
    "no token": Refused(401, "TOKEN_MISSING", token=None),
    "no token, large": Refused(401, "TOKEN_MISSING", token=None, body=LARGE),
    "no token, upload": Refused(401, "TOKEN_MISSING", UPLOAD, token=None, body=LARGE),
    "no token, no such path": Refused(401, "TOKEN_MISSING", "/nothing", token=None),
    "nonsense": Refused(401, "TOKEN_INVALID", token="nonsense"),
    "signature": Refused(401, "TOKEN_INVALID", token="other"),
    "signature, unsized upload": Refused(
        401, "TOKEN_INVALID", UPLOAD, token="other", body=LARGE, sized=False
    ),
    "no such path": Refused(404, "METHOD_UNKNOWN", "/nothing", body=LARGE),
    "no such method": Refused(404, "METHOD_UNKNOWN", "/v1/nothing"),
    "too large": Refused(413, "MESSAGE_TOO_LARGE", body=LARGE),
    "too large, unsized": Refused(413, "MESSAGE_TOO_LARGE", body=LARGE, sized=False),
    "unsized upload": Refused(413, "MESSAGE_TOO_LARGE", UPLOAD, body=LARGE, sized=False),
    "API key, too large": Refused(413, "MESSAGE_TOO_LARGE", token="rag_k_s", body=LARGE),
}
each_refusal = pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)


@dataclass
class Answer:
    """What came back over HTTP/2, and in which order."""

    status: int = 0
    body: bytes = b""
    before_end: bool = False
    ended: bool = False
    reset: int | None = None


async def exchange(placed: Setting, case: Refused) -> Answer:
    """A client that sends its headers, listens, and only then sends its body piece by piece."""
    headers = [
        *((":method", "POST"), (":scheme", "https"), (":authority", "localhost")),
        *((":path", case.path), *case.all_headers(placed).items()),
    ]
    result = Answer()
    async with Http2(placed) as client:
        await client.listen()
        number = client.begin(headers)
        await client.flush()
        with pytest.raises(TimeoutError):
            await heard(client, result, 0.3)
        result.before_end = result.status != 0
        rest = case.body
        while rest and not result.ended:
            room = min(client.state.local_flow_control_window(number), 16_384, len(rest))
            if room:
                client.state.send_data(number, rest[:room], end_stream=room == len(rest))
                rest = rest[room:]
                await client.flush()
            else:
                await heard(client, result, 20)
        while not result.ended and result.reset is None:
            await heard(client, result, 20)
    return result


async def heard(client: Http2, found: Answer, seconds: float) -> None:
    """Take what comes in one piece. Raises TimeoutError."""
    data = await asyncio.wait_for(client.reader.read(65536), seconds)
    assert data, "hung up on"
    for event in client.state.receive_data(data):
        match event:
            case h2.events.ResponseReceived():
                found.status = int(dict(event.headers or [])[b":status"])
            case h2.events.DataReceived():
                found.body += event.data or b""
            case h2.events.StreamEnded():
                found.ended = True
            case h2.events.StreamReset():
                found.reset = int(event.error_code or 0)
    await client.flush()


@each_refusal
async def test_a_refusal_waits_for_the_end_of_the_request_and_resets_nothing(
    placed: Setting, case: Refused
) -> None:
    """Clients that are still sending when the stream is reset lose the answer: curl 7.88 does."""
    result = await exchange(placed, case)
    assert (result.status, result.before_end, result.ended, result.reset) == (
        *(case.status, False, True, None),
    )
    assert json.loads(result.body)["details"][0]["reason"] == case.reason
    assert not placed.gateway.heard


async def curl(placed: Setting, case: Refused, body: Path, *flags: str) -> str:
    headers = {**case.all_headers(placed), **({} if case.sized else {"content-length": ""})}
    if not case.sized and "--http1.1" in flags:
        headers["transfer-encoding"] = "chunked"
    words = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    _, out, _ = await run(
        *(CURL, "--silent", "--cacert", str(placed.edge.ca), *flags, *words),
        *("--write-out", "\n%{http_code} %{exitcode}", "--data-binary", f"@{body}"),
        placed.url + case.path,
    )
    text, _, end = out.rpartition("\n")
    return f"{end} {json.loads(text)['details'][0]['reason'] if text else ''}"


@each_refusal
@pytest.mark.parametrize("protocol", ["--http2", "--http1.1"])
async def test_curl_reads_every_refusal_every_time(
    placed: Setting, case: Refused, protocol: str, tmp_path: Path
) -> None:
    body = tmp_path / "body"
    body.write_bytes(case.body)
    result = Counter([await curl(placed, case, body, protocol) for _ in range(2)])
    assert result == {f"{case.status} 0 {case.reason}": 2}


@pytest_asyncio.fixture(scope="module")
async def slow(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Setting]:
    """An edge that lets one call a second of a connection in, and two at once."""
    async with setting(tmp_path_factory.mktemp("slow"), connection_rate=1) as created:
        yield created


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/answer", QUESTION), ("/v1/answer", LARGE), (UPLOAD, PIECES), ("/nothing", QUESTION)],
)
async def test_a_call_over_the_rate_is_refused_in_full(
    slow: Setting, path: str, body: bytes
) -> None:
    async with slow.http(http1=False, http2=True) as http:

        async def limited() -> httpx.Response | None:
            """The call right after others that have used up what its connection may do."""
            others = [http.get("/health/live") for _ in range(6)]
            post = http.post(path, content=body, headers=slow.headers())
            reply = (await asyncio.gather(*others, post))[-1]
            return reply if reply.status_code == 429 else None

        replies = [reply for _ in range(4) if (reply := await limited())]
    assert len(replies) >= 2
    for reply in replies:
        assert reply.json()["details"][0]["reason"] == "RATE_LIMITED"


@pytest.mark.parametrize("length", range(6))
async def test_too_large_is_known_however_its_details_are_aligned(
    placed: Setting, http: httpx.AsyncClient, length: int
) -> None:
    placed.gateway.says("Search", errors.MessageTooLarge("x" * length))
    reply = await http.post("/v1/search", json={"query": "q"}, headers=placed.headers())
    assert reply.status_code == 413


async def pieces(count: int) -> AsyncIterator[documents.UploadDocumentRequest]:
    yield documents.UploadDocumentRequest(header=documents.UploadHeader())
    for _ in range(count):
        yield documents.UploadDocumentRequest(content=b"x" * MIB)


@pytest.mark.parametrize("count", [0, 1, 40])
async def test_an_upload_by_grpc_gets_its_refusal_as_a_status(
    placed: Setting, channel: grpc.aio.Channel, count: int
) -> None:
    stub: Any = DocumentServiceStub(channel)
    for metadata in ((), (("authorization", "Bearer nonsense"),)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.UploadDocument(pieces(count), metadata=metadata)
        assert isinstance(from_rpc_error(caught.value), errors.Unauthenticated)
    assert not placed.gateway.heard


async def test_a_grpc_message_over_the_limit_gets_a_status(
    placed: Setting, channel: grpc.aio.Channel
) -> None:
    stub: Any = DocumentServiceStub(channel)
    request = documents.IngestDocumentRequest(content=b"x" * 30 * MIB)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.IngestDocument(request, metadata=placed.metadata())
    assert isinstance(from_rpc_error(caught.value), errors.MessageTooLarge)
    assert not placed.gateway.heard


@pytest.mark.parametrize("token", [None, "good"])
@pytest.mark.parametrize("method", ["rag.gateway.v1.None/Both", "rag.retriever.v1.Retriever/Watch"])
async def test_an_unknown_stream_is_refused_while_it_is_open(
    placed: Setting, channel: grpc.aio.Channel, method: str, token: str | None
) -> None:
    """Its client may wait for an answer before it sends more, or ends."""
    call = channel.stream_stream(f"/{method}")(metadata=placed.metadata() if token else ())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(call.read(), 10)
    expected = errors.Unimplemented if token else errors.TokenMissing
    assert isinstance(from_rpc_error(caught.value), expected)


async def test_reflection_over_the_rate_is_refused_while_it_is_open(slow: Setting) -> None:
    async with slow.channel() as channel:
        method = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        result = set()
        for _ in range(20):
            call = channel.stream_stream(method)()
            read = asyncio.create_task(call.read())
            done, _ = await asyncio.wait([read], timeout=0.3)
            call.cancel()
            if done and isinstance(error := read.exception(), grpc.aio.AioRpcError):
                result.add(type(from_rpc_error(error)))
        assert result == {errors.RateLimited}


async def pour(raw: Raw, mebibytes: int) -> bytes:
    """Send a body, and give what it is answered with."""
    for _ in range(mebibytes * 16):
        if not await raw.send(b" " * 65536):
            break
    return (await asyncio.wait_for(raw.reader.readline(), 20)).strip()


async def test_bodies_of_strangers_are_not_held(placed: Setting) -> None:
    """Forty strangers pour 20 MiB each."""
    before = resident(placed)
    head = b"POST /v1/search HTTP/1.1\r\n" + HEAD + b"content-length: %d\r\n\r\n" % (20 * MIB)

    async def stranger() -> bytes:
        async with Raw(placed) as raw:
            await raw.send(head)
            return await pour(raw, 20)

    peak = 0
    pouring = asyncio.gather(*(stranger() for _ in range(40)))
    while not pouring.done():
        peak = max(peak, await asyncio.to_thread(resident, placed))
    assert {line.split()[1] for line in await pouring} == {b"401"}
    assert peak - before < 100 * MIB
    await others_are_served(placed)


@pytest.mark.parametrize("sized", [True, False], ids=["sized", "unsized"])
async def test_a_refused_body_is_not_read_for_ever(tmp_path: Path, sized: bool) -> None:
    """What says that it is over the bound is refused at its first piece, the other at the bound."""
    async with setting(tmp_path, discard_bytes=8 * MIB) as placed, Raw(placed) as raw:
        length = b"content-length: %d" % (2**40) if sized else b"transfer-encoding: chunked"
        await raw.send(b"POST /v1/search HTTP/1.1\r\n" + HEAD + length + b"\r\n\r\n")
        piece = b" " * 65536 if sized else b"10000\r\n" + b" " * 65536 + b"\r\n"
        sent = 0
        while sent < 64 * MIB and await raw.send(piece):
            sent += 65536
        # Some of what was sent lies in the sockets' buffers.
        assert sent < 32 * MIB
        received = "http.edge.downstream_cx_rx_bytes_total"
        assert placed.edge.stat(received) < (4 if sized else 16) * MIB


async def test_a_refused_body_that_never_ends_is_given_up(tmp_path: Path) -> None:
    async with setting(tmp_path, longest_call="1s") as placed, Raw(placed) as raw:
        await raw.send(b"POST /v1/search HTTP/1.1\r\n" + HEAD + b"content-length: 99\r\n\r\n")
        active = "http.edge.downstream_rq_active"
        await until(lambda: placed.edge.stat(active) == 1, "it is listened to")
        drip = asyncio.create_task(drips(raw))
        await until(lambda: placed.edge.stat(active) == 0, "it is given up")
        drip.cancel()
        status = await asyncio.wait_for(raw.reader.readline(), 20)
        assert status.split()[1] == b"504"


async def drips(raw: Raw) -> None:
    for _ in range(98):
        await raw.send(b" ")
        await asyncio.sleep(0.1)
