"""A client that breaks the rules of HTTP on purpose, byte by byte, over real TLS."""

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import h2.config
import h2.connection
import h2.errors
import h2.events
from hyperframe.frame import ContinuationFrame, Frame, HeadersFrame

from tests.support.edge.fixtures import Setting

_CLOSED = (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError)


class Raw:
    """A connection on which anything can be written."""

    def __init__(self, placed: Setting, protocol: str = "http/1.1") -> None:
        self._placed = placed
        self._protocol = protocol
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        context = self._placed.trust
        context.set_alpn_protocols([self._protocol])
        self.reader, self.writer = await asyncio.open_connection(
            "localhost", self._placed.edge.port, ssl=context
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.writer.transport.abort()

    async def send(self, data: bytes) -> bool:
        """Whether the other side still takes it."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except _CLOSED:
            return False
        return not self.writer.transport.is_closing()

    async def rest(self) -> bytes:
        """All that still comes, until the other side closes."""
        result = b""
        with suppress(*_CLOSED):
            while piece := await asyncio.wait_for(self.reader.read(65536), 20):
                result += piece
        return result

    async def reply(self, request: bytes) -> bytes:
        """The first line of what an HTTP/1.1 request is answered with; empty where it is hung up on."""
        await self.send(request)
        try:
            return (await asyncio.wait_for(self.reader.readline(), 20)).strip()
        except _CLOSED:
            return b""


class Http2(Raw):
    """An HTTP/2 connection that opens as many streams as it likes, whatever it was told."""

    def __init__(self, placed: Setting) -> None:
        super().__init__(placed, "h2")
        config = h2.config.H2Configuration(
            client_side=True, validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.state = h2.connection.H2Connection(config)
        self.refused: dict[int, int] = {}
        self.answered: set[int] = set()
        self.last_word: int | None = None
        self.over = False
        self._next = 1

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.state.initiate_connection()
        await self.flush()
        return self

    async def flush(self) -> bool:
        return await self.send(self.state.data_to_send())

    def begin(self, headers: Sequence[tuple[str, str]], *, end: bool = False) -> int:
        """Open a stream, without sending yet; its number."""
        number, self._next = self._next, self._next + 2
        self.state.send_headers(number, headers, end_stream=end)
        return number

    async def frame(self, *frames: Frame) -> bool:
        """Send frames as they are."""
        return await self.send(b"".join(one.serialize() for one in frames))

    async def listen(self, seconds: float = 20) -> bool:
        """Take what comes in one piece; False where the connection is over."""
        try:
            data = await asyncio.wait_for(self.reader.read(65536), seconds)
        except _CLOSED:
            data = b""
        self.over = not data
        for event in self.state.receive_data(data) if data else ():
            match event:
                case h2.events.StreamReset():
                    self.refused[event.stream_id] = int(event.error_code or 0)
                case h2.events.ResponseReceived():
                    self.answered.add(event.stream_id or 0)
                case h2.events.ConnectionTerminated():
                    self.last_word = int(event.error_code or 0)
        await self.flush()
        return bool(data)

    async def heard_out(self) -> int | None:
        """Listen until the connection is over; the code of its GOAWAY."""
        while await self.listen():
            pass
        return self.last_word


def grpc_headers(placed: Setting, **more: str) -> list[tuple[str, str]]:
    """Those of a read with a token."""
    return [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", "/rag.gateway.v1.AccessService/GetIdentity"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        *placed.metadata(),
        *more.items(),
    ]


def endless_headers(block: bytes, stream: int = 1) -> list[Frame]:
    """A header block that goes on without ever ending."""
    first = HeadersFrame(stream)
    first.data = block
    more = ContinuationFrame(stream)
    more.data = b"\x00\x01a\x7f\x80\x7e" + b"x" * 255
    return [first, *([more] * 2000)]
