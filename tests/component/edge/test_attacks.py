"""Attacks on the edge: each is stopped, costs little memory, and others are served meanwhile."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import grpc
import h2.errors
import httpx
import pytest
import pytest_asyncio
from hyperframe.frame import DataFrame, PingFrame, SettingsFrame

from rag.gateway.v1 import access_service_pb2 as access
from rag.gateway.v1.access_service_pb2_grpc import AccessServiceStub
from tests.support.edge.fixtures import Setting, setting
from tests.support.edge.hostile import Http2, Raw, endless_headers, grpc_headers
from tests.support.waiting import until

STREAMS = 20
MIB = 2**20
MAX_GROWTH = 96 * MIB
# Stalled connections of each kind.
SLOW = 40
HEAD = b"Host: localhost\r\n"


@pytest_asyncio.fixture(scope="module")
async def fort(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Setting]:
    """An edge with short patience."""
    home = tmp_path_factory.mktemp("fort")
    async with setting(
        home, streams=STREAMS, headers_timeout="2s", idle_timeout="2s", rapid_resets=100
    ) as created:
        yield created


def resident(placed: Setting) -> int:
    """Bytes of memory that Envoy holds."""
    pages = Path(f"/proc/{placed.edge.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(autouse=True)
def memory(fort: Setting) -> Any:
    """Every attack is followed by a look at Envoy: it lives, and has not grown much."""
    fort.gateway.heard.clear()
    fort.gateway.acts.clear()
    before = resident(fort)
    yield
    assert fort.edge.process.poll() is None
    assert resident(fort) - before < MAX_GROWTH


async def others_are_served(placed: Setting) -> None:
    # The attacker shares its event loop with the gateway, whose health checks may have timed out.
    healthy = "cluster.gateway.membership_healthy"
    await until(lambda: placed.edge.stat(healthy) == 1, "the gateway is healthy again")
    async with placed.channel() as channel, placed.http() as http:
        stub: Any = AccessServiceStub(channel)
        request = access.GetIdentityRequest()
        await stub.GetIdentity(request, metadata=placed.metadata(), timeout=10)
        assert (await http.get("/v1/identity", headers=placed.headers())).status_code == 200


STALLED = [b"", b"G", b"GET /v1/identity HTTP/1.1\r\nHost: loc"]


async def test_stalled_connections_are_closed_and_others_are_served(fort: Setting) -> None:
    """Slow loris: clients that stall within the handshake, before a request, or within its headers."""
    active = "http.edge.downstream_cx_active"
    async with AsyncExitStack() as stack:
        requests = [await stack.enter_async_context(Raw(fort)) for _ in range(SLOW * len(STALLED))]
        handshakes = [
            await asyncio.open_connection("localhost", fort.edge.port) for _ in range(SLOW)
        ]
        for client, begun in zip(requests, STALLED * SLOW, strict=True):
            await client.send(begun)
        for _, writer in handshakes:
            writer.write(b"\x16\x03\x01")
        await others_are_served(fort)
        assert fort.edge.stat(active) >= SLOW
        await asyncio.gather(*(client.rest() for client in requests))
        for reader, writer in handshakes:
            with suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 30) == b""
            writer.close()
        await until(lambda: fort.edge.stat(active) < 10, "all are closed")


async def test_header_lines_that_drip(fort: Setting) -> None:
    async with Raw(fort) as slow:
        await slow.send(b"GET /v1/identity HTTP/1.1\r\n" + HEAD)
        lines = 0
        while await slow.send(b"x-%d: y\r\n" % lines) and lines < 100:
            lines += 1
            await asyncio.sleep(0.1)
        assert lines < 100
    await others_are_served(fort)


async def test_more_streams_than_allowed(fort: Setting) -> None:
    """The first are held by the gateway; what is over the limit ends the connection, or is refused."""
    free = asyncio.Event()

    async def held(_request: Any) -> None:
        await free.wait()

    fort.gateway.does("GetIdentity", held)
    async with Http2(fort) as flood:
        await flood.listen()
        flood.state.remote_settings.max_concurrent_streams = 10_000
        flood.state.remote_settings.acknowledge()
        for _ in range(3 * STREAMS):
            number = flood.begin(grpc_headers(fort))
            flood.state.send_data(number, b"\0\0\0\0\0", end_stream=True)
        await flood.flush()
        while len(flood.refused) < 2 * STREAMS and await flood.listen():
            pass
        assert len(fort.gateway.heard) <= STREAMS
        refused = set(flood.refused.values())
        assert flood.over or refused == {int(h2.errors.ErrorCodes.REFUSED_STREAM)}
        free.set()
    await others_are_served(fort)


async def test_streams_that_are_reset_as_soon_as_they_are_opened(fort: Setting) -> None:
    """CVE-2023-44487: the connection is closed, long before 5,000 calls have reached the gateway."""
    async with Http2(fort) as flood:
        await flood.listen()
        for _ in range(250):
            for _ in range(20):
                number = flood.begin(grpc_headers(fort))
                flood.state.reset_stream(number, int(h2.errors.ErrorCodes.CANCEL))
            if not await flood.flush():
                break
        await flood.heard_out()
    assert fort.edge.stat("http.edge.downstream_rq_too_many_premature_resets") >= 1
    assert len(fort.gateway.heard) < 500
    await others_are_served(fort)


@pytest.mark.parametrize(
    ("frames", "counter"),
    [
        ([PingFrame(0, b"12345678")] * 20_000, "http2.outbound_control_flood"),
        ([SettingsFrame(0, {4: 65535})] * 20_000, "http2.outbound_control_flood"),
        ([DataFrame(1)] * 1000, "http2.inbound_empty_frames_flood"),
    ],
    ids=["pings", "settings", "empty data"],
)
async def test_frames_that_only_make_work(fort: Setting, frames: list[Any], counter: str) -> None:
    """Whether answered or cut off, they are not piled up."""
    async with Http2(fort) as flood:
        flood.begin(grpc_headers(fort))
        await flood.flush()
        await flood.frame(*frames)
        await others_are_served(fort)
    await others_are_served(fort)
    assert counter == "http2.outbound_control_flood" or fort.edge.stat(counter) >= 1


async def test_a_header_block_that_never_ends(fort: Setting) -> None:
    async with Http2(fort) as flood:
        await flood.listen()
        await flood.frame(*endless_headers(b"\x00\x01a\x01b"))
        await flood.heard_out()
    assert not fort.gateway.heard
    await others_are_served(fort)


@pytest.mark.parametrize(
    "more",
    [{"x-long": "y" * 100_000}, {f"x-{n}": "y" for n in range(500)}, {"x-bin": "y" * 30_000}],
    ids=["100 KB", "500 headers", "30 KB"],
)
@pytest.mark.parametrize("http2", [True, False], ids=["h2", "h1"])
async def test_headers_over_the_limit(fort: Setting, more: dict[str, str], http2: bool) -> None:
    async with fort.http(http1=not http2, http2=http2) as http:
        try:
            reply = await http.get("/v1/identity", headers={**fort.headers(), **more})
        except httpx.TransportError:
            pass
        else:
            assert reply.status_code == 431
    assert not fort.gateway.heard
    await others_are_served(fort)


async def test_grpc_metadata_over_the_limit(fort: Setting) -> None:
    async with fort.channel() as channel:
        stub: Any = AccessServiceStub(channel)
        metadata = (*fort.metadata(), ("x-big-bin", b"\0" * 100_000))
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.GetIdentity(access.GetIdentityRequest(), metadata=metadata, timeout=10)
    assert not fort.gateway.heard


@pytest.mark.parametrize(
    "request_line",
    [
        b"CONNECT 127.0.0.1:50051 HTTP/1.1",
        b"TRACE /v1/identity HTTP/1.1",
        b"GET http://127.0.0.1:50061/health HTTP/1.1",
        b"GET /health/../v1/identity HTTP/1.1",
        b"GET /health/live/../../v1/identity HTTP/1.1",
        b"GET /health/live/..%2f..%2fv1/identity HTTP/1.1",
        b"GET /%2e%2e/v1/identity HTTP/1.1",
        b"GET /grpc.health.v1.Health/../v1/identity HTTP/1.1",
        b"GET //v1//identity HTTP/1.1",
        b"GET /v1/identity#/health/live HTTP/1.1",
        b"GET /v1/identity\x00 HTTP/1.1",
        b"GET /health/ready;/v1/identity HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"BREW /v1/identity HTTP/1.1",
        b"GET /v1/identity HTTP/1.0",
    ],
    ids=lambda line: line.decode(),
)
async def test_no_way_of_asking_gets_in_without_a_credential(
    fort: Setting, request_line: bytes
) -> None:
    async with Raw(fort) as raw:
        status = await raw.reply(request_line + b"\r\n" + HEAD + b"content-length: 0\r\n\r\n")
    assert status == b"" or status.split()[1][:1] == b"4"
    assert not fort.gateway.heard


@pytest.mark.parametrize("verb", [b"CONNECT 127.0.0.1:50051", b"TRACE /v1/identity", b"BREW /"])
async def test_odd_methods_are_refused_with_a_credential_too(fort: Setting, verb: bytes) -> None:
    async with Raw(fort) as raw:
        token = fort.headers()["authorization"].encode()
        request = verb + b" HTTP/1.1\r\n" + HEAD + b"authorization: " + token + b"\r\n\r\n"
        status = await raw.reply(request)
    assert status == b"" or status.split()[1][:1] == b"4"
    assert not fort.gateway.heard


async def test_h2c_is_not_upgraded_to(fort: Setting) -> None:
    """Smuggling by upgrade: what follows would pass the edge unseen."""
    async with Raw(fort) as raw:
        token = fort.headers()["authorization"].encode()
        status = await raw.reply(
            b"GET /v1/identity HTTP/1.1\r\n"
            + HEAD
            + b"authorization: "
            + token
            + b"\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            + b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n"
        )
    assert not status.startswith(b"HTTP/1.1 101")
    assert not [heard for heard in fort.gateway.heard if "http2-settings" in heard.metadata]


SMUGGLED = b"GET /v1/quota HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    "length",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked",
        b"Content-Length: 0\r\nContent-Length: %d" % len(SMUGGLED),
        b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding : chunked",
        b"Content-Length: +0",
        b"Content-Length: 0x0",
    ],
    ids=["both", "two lengths", "two codings", "odd coding", "space", "plus", "hex"],
)
async def test_a_body_whose_length_is_ambiguous(fort: Setting, length: bytes) -> None:
    token = fort.headers()["authorization"].encode()
    async with Raw(fort) as raw:
        status = await raw.reply(
            b"POST /v1/search HTTP/1.1\r\n"
            + HEAD
            + b"authorization: "
            + token
            + b"\r\n"
            + length
            + b"\r\n\r\n0\r\n\r\n"
            + SMUGGLED
        )
    assert status == b"" or status.split()[1] in (b"400", b"501")
    assert not [heard for heard in fort.gateway.heard if heard.method == "GetQuota"]


async def test_many_connections_at_once_are_bounded(tmp_path: Path) -> None:
    """Those over the bound are closed at once, and the others go on."""
    async with setting(tmp_path, connections=50) as placed, placed.channel() as channel:
        stub: Any = AccessServiceStub(channel)
        request = access.GetIdentityRequest()
        await stub.GetIdentity(request, metadata=placed.metadata())
        context = placed.trust
        opened = []
        refused = 0
        for _ in range(80):
            try:
                opened.append(
                    await asyncio.open_connection("localhost", placed.edge.port, ssl=context)
                )
            except (ConnectionError, ssl.SSLError):
                refused += 1
        assert refused >= 30
        await stub.GetIdentity(request, metadata=placed.metadata(), timeout=10)
        for _, writer in opened:
            writer.close()


async def test_bodies_that_are_held_have_a_bound(tmp_path: Path) -> None:
    """700 MiB from strangers whose credential has the form of an API key; they are held until whole."""
    async with setting(tmp_path, heap_bytes=128 * MIB, stream_idle_timeout="2s") as placed:
        head = b"POST /v1/search HTTP/1.1\r\n" + HEAD + b"authorization: Bearer rag_k_s\r\n"
        async with AsyncExitStack() as stack:
            held = [await stack.enter_async_context(Raw(placed)) for _ in range(200)]
            for one in held:
                await one.send(head + b"content-length: %d\r\n\r\n" % (4 * MIB))
            sending = asyncio.gather(*(fill(one) for one in held))
            peak = 0
            while not sending.done():
                peak = max(peak, await asyncio.to_thread(resident, placed))
        assert peak < 400 * MIB
        await until(lambda: served(placed), "others are served again")


async def fill(raw: Raw) -> None:
    """Send all of the body but its end, and wait to be hung up on."""
    for _ in range(56):
        if not await raw.send(b" " * 65536):
            return
    await raw.rest()


async def served(placed: Setting) -> bool:
    try:
        await others_are_served(placed)
    except (httpx.HTTPError, grpc.aio.AioRpcError, AssertionError):
        return False
    return True
