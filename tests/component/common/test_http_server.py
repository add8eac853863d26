"""The HTTP server of the pages, byte by byte."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from rag_common.http import server
from rag_common.http.pages import Page, serve_http
from tests.support.rpc import logged


async def hello() -> Page:
    return Page(b"hello", media_type="text/plain")


async def broken() -> Page:
    raise RuntimeError("a defect")


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with serve_http("127.0.0.1", 0, {"/hello": hello, "/broken": broken}) as opened:
        yield opened


async def sent(port: int, *requests: bytes) -> bytes:
    """What comes back on one connection until the server closes it; the last request asks for that."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"".join(requests))
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


def request(path: str, method: str = "GET", more: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n{more}\r\n".encode()


LAST = "connection: close\r\n"


async def test_requests_on_one_connection_are_answered_in_order(port: int) -> None:
    received = await sent(
        port, request("/hello?a=b"), request("/none"), request("/hello", more=LAST)
    )
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"404", b"200"]
    assert received.endswith(b"\r\n\r\nhello")
    assert b"content-type: text/plain\r\n" in received
    assert b"cache-control: no-store\r\n" in received


async def test_head_gives_the_headers_of_get(port: int) -> None:
    received = await sent(port, request("/hello", "HEAD", LAST))
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"content-length: 5\r\n" in received
    assert received.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (request("/hello", "DELETE", LAST), b"405"),
        (request("/hello", "PUT", LAST), b"405"),
        (request("/Hello", more=LAST), b"404"),
    ],
)
async def test_what_there_is_not_is_refused(port: int, asked: bytes, status: bytes) -> None:
    assert (await sent(port, asked)).split()[1] == status


@pytest.mark.parametrize(
    "bytes_",
    [
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        request("/hello", more=f"x: {'y' * 100_000}\r\n"),
        b"GET /hello\r\n\r\n",
    ],
    ids=["TLS", "a large header", "HTTP/0.9"],
)
async def test_what_is_no_request_ends_its_connection_alone(port: int, bytes_: bytes) -> None:
    with suppress(ConnectionError):
        assert b" 200 " not in await sent(port, bytes_)
    assert (await sent(port, request("/hello", more=LAST))).endswith(b"hello")


async def test_a_page_that_fails_is_logged_and_the_next_one_is_served(port: int) -> None:
    with logged() as lines:
        received = await sent(port, request("/broken"), request("/hello", more=LAST))
    assert received.split()[1] == b"500"
    assert received.endswith(b"hello")
    assert b"a defect" not in received
    assert lines.of("page_failed")


async def test_a_client_that_is_too_slow_is_disconnected(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_CLIENT_SECONDS", 0.05)
    assert await sent(port, b"GET /hello HT") == b""


async def test_more_connections_than_allowed_are_closed(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_MAX_CONNECTIONS", 0)
    assert await sent(port) == b""


async def test_open_connections_are_closed_at_the_end() -> None:
    async with serve_http("127.0.0.1", 0, {"/hello": hello}) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("/hello"))
        await reader.readuntil(b"hello")
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()


async def test_a_port_in_use_is_named(port: int) -> None:
    with pytest.raises(OSError, match=f"port {port} of 127.0.0.1"):
        async with serve_http("127.0.0.1", port, {}):
            pass
