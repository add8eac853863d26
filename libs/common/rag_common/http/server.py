"""An HTTP/1.1 server on asyncio's streams and h11, for a few small pages.

A web framework would take longer to import than the rest of a service's server: aiohttp 0.1 s of CPU,
half of it for the system's certificate authorities, which a server of plaintext never needs.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import formatdate

import h11
import structlog

from rag_common.aio import cancel

log = structlog.get_logger()

# How long a client may take to send a request, or to receive the response; then it is disconnected.
_CLIENT_SECONDS = 15.0
_MAX_HEAD_BYTES = 16 * 1024
_MAX_CONNECTIONS = 1000
_BACKLOG = 128
_READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """A request: `path` without the query, `headers` by lower-case name, `client` the client's address."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    client: str


@dataclass(frozen=True, slots=True)
class Response:
    """A response; its length and date are added."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Handler = Callable[[Request], Awaitable[Response]]


class _TooLargeError(Exception):
    """The body exceeds the limit."""


@asynccontextmanager
async def serve(
    host: str, port: int, handler: Handler, *, max_body_bytes: int
) -> AsyncIterator[int]:
    """Serve inside the block; yield the port's number. Raises OSError if the port is in use.

    On leaving it all connections are closed. A handler that fails is logged, and is a 500 for its
    client.
    """
    connections: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(connections) >= _MAX_CONNECTIONS:
            writer.close()
            return
        connection = _Connection(reader, writer, handler, max_body_bytes)
        task = asyncio.create_task(connection.run())
        connections.add(task)
        task.add_done_callback(connections.discard)

    try:
        server = await asyncio.start_server(accept, host, port, backlog=_BACKLOG)
    except OSError as error:
        raise OSError(f"port {port} of {host} is in use or may not be opened") from error
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await cancel(*connections)


class _Connection:
    """One client's connection: its requests are answered one after the other."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handler: Handler,
        max_body_bytes: int,
    ) -> None:
        self._reader, self._writer = reader, writer
        self._handler = handler
        self._max_body_bytes = max_body_bytes
        self._state = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD_BYTES)

    async def run(self) -> None:
        """Answer requests until the client closes the connection, is too slow or breaks the protocol."""
        try:
            while await self._answer_next():
                self._state.start_next_cycle()
        except (OSError, TimeoutError, h11.ProtocolError):
            return
        finally:
            self._writer.close()

    async def _answer_next(self) -> bool:
        """Answer a request; whether another one may follow."""
        try:
            async with asyncio.timeout(_CLIENT_SECONDS):
                request = await self._receive()
        except h11.RemoteProtocolError as error:
            await self._send(Response(error.error_status_hint, {}, b""))
            return False
        except _TooLargeError:
            await self._send(Response(413, {}, b""))
            return False
        if request is None:
            return False
        await self._send(await self._handled(request), with_body=request.method != "HEAD")
        return self._state.our_state is h11.DONE and self._state.their_state is h11.DONE

    async def _handled(self, request: Request) -> Response:
        try:
            return await self._handler(request)
        except Exception:
            log.exception("page_failed", path=request.path)
            return Response(500, {}, b"")

    async def _receive(self) -> Request | None:
        """The next request; None if the client has closed the connection.

        A body over the limit is read to its end before that is raised: a client that is still sending
        would not read the response.
        """
        head: h11.Request | None = None
        body, size = bytearray(), 0
        while True:
            match event := self._state.next_event():
                case h11.Request():
                    head = event
                case h11.Data():
                    size += len(event.data)
                    body += event.data if size <= self._max_body_bytes else b""
                case h11.EndOfMessage() if head:
                    if size > self._max_body_bytes:
                        raise _TooLargeError
                    return self._request(head, bytes(body))
                case h11.ConnectionClosed():
                    return None
                case _:
                    await self._read()

    async def _read(self) -> None:
        if self._state.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[])
            self._writer.write(self._state.send(go_on) or b"")
        self._state.receive_data(await self._reader.read(_READ_BYTES))

    def _request(self, head: h11.Request, body: bytes) -> Request:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        path = head.target.decode("latin-1").partition("?")[0]
        client: str = (self._writer.get_extra_info("peername") or ("",))[0]
        return Request(head.method.decode("latin-1"), path, headers, body, client)

    async def _send(self, response: Response, *, with_body: bool = True) -> None:
        """Send a response, with a body or with its length alone."""
        headers = {
            **response.headers,
            "content-length": str(len(response.body)),
            "date": formatdate(usegmt=True),
        }
        events: list[h11.Event] = [
            h11.Response(status_code=response.status, headers=list(headers.items())),
            *([h11.Data(data=response.body)] if with_body else []),
            h11.EndOfMessage(),
        ]
        self._writer.write(b"".join(self._state.send(event) or b"" for event in events))
        async with asyncio.timeout(_CLIENT_SECONDS):
            await self._writer.drain()
