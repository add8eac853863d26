"""A small service on a real server, for tests of what happens around a call: texts in, texts out."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import Any

import grpc
import structlog
from pydantic_settings import SettingsConfigDict

from rag_common.grpc.bootstrap import Ports, Service, serving
from rag_common.grpc.call import Authenticate, CallLimiter
from rag_common.grpc.peer import Peer, open_peer
from rag_common.grpc.ports import ServerSecurity
from rag_common.grpc.readiness import Check
from rag_common.observability import logging as logs
from rag_common.observability.setup import Telemetry
from rag_common.settings import ServiceSettings
from rag_contract.errors import AppError
from rag_contract.status import from_rpc_error

NAME = "test.v1.EchoService"

Act = Callable[[str], Awaitable[str]]

_SHAPES = {
    "One": "unary_unary",
    "Many": "unary_stream",
    "Gather": "stream_unary",
    "Converse": "stream_stream",
}
KINDS = tuple(_SHAPES)


class Settings(ServiceSettings):
    """Those every service has; stopping takes no longer than the calls."""

    model_config = SettingsConfigDict(env_prefix="ECHO_")

    drain_delay: float = 0
    health_interval: float = 0.05


async def same(text: str) -> str:
    """What the service does where a test says nothing."""
    return text


class Echo:
    """Answers with what `act` makes of a text: at once, word by word, of all texts, or one by one."""

    def __init__(self, act: Act = same) -> None:
        self._act = act

    def add(self, _servicer: object, server: grpc.aio.Server) -> None:
        """Put the four methods on a server."""
        behaviours = {
            "One": self._one,
            "Many": self._many,
            "Gather": self._gather,
            "Converse": self._converse,
        }
        handlers = {
            kind: getattr(grpc, f"{_SHAPES[kind]}_rpc_method_handler")(
                behave, bytes.decode, str.encode
            )
            for kind, behave in behaviours.items()
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, handlers),))

    async def _one(self, text: str, _context: object) -> str:
        return await self._act(text)

    async def _many(self, text: str, _context: object) -> AsyncIterator[str]:
        for word in (await self._act(text)).split():
            yield word

    async def _gather(self, texts: AsyncIterator[str], _context: object) -> str:
        return await self._act(" ".join([text async for text in texts]))

    async def _converse(self, texts: AsyncIterator[str], _context: object) -> AsyncIterator[str]:
        async for text in texts:
            yield await self._act(text)


@dataclass(frozen=True, slots=True)
class Served:
    """A service that runs, and a channel to it."""

    ports: Ports
    channel: grpc.aio.Channel

    async def call(self, kind: str = "One", text: str | bytes = "hello", **options: Any) -> str:
        """The reply, or the replies with spaces between. Raises grpc.aio.AioRpcError."""
        return await call(self.channel, kind, text, **options)

    async def failure(
        self, kind: str = "One", text: str | bytes = "hello", **options: Any
    ) -> AppError:
        """The error that a call ends with, as the caller's side understands it."""
        return from_rpc_error(await self.raw_failure(kind, text, **options))

    async def raw_failure(
        self, kind: str = "One", text: str | bytes = "hello", **options: Any
    ) -> grpc.aio.AioRpcError:
        """The error that a call ends with, as gRPC has it."""
        try:
            reply = await self.call(kind, text, **options)
        except grpc.aio.AioRpcError as error:
            return error
        raise AssertionError(f"no error, but {reply}")


@asynccontextmanager
async def served(
    act: Act = same,
    *,
    settings: ServiceSettings | None = None,
    telemetry: Telemetry | None = None,
    checks: Mapping[str, Check] | None = None,
    optional_checks: Mapping[str, Check] | None = None,
    authenticate: Authenticate | None = None,
    quota: CallLimiter | None = None,
) -> AsyncIterator[Served]:
    """The service on a free port with what stands around every service, and a channel to it."""
    echo = Echo(act)
    async with (
        serving(
            [Service(NAME, echo.add, echo)],
            settings or Settings(),
            telemetry or Telemetry(),
            checks=checks,
            optional_checks=optional_checks,
            security=ServerSecurity(authenticate, limiter=quota),
        ) as ports,
        grpc.aio.insecure_channel(f"127.0.0.1:{ports.grpc}") as channel,
    ):
        yield Served(ports, channel)


@asynccontextmanager
async def peer(
    port: int, *, name: str = "echo", timeout: float = 30, telemetry: Telemetry | None = None
) -> AsyncIterator[Peer]:
    """The service as another service calls it."""
    async with open_peer(
        name,
        f"127.0.0.1:{port}",
        telemetry or Telemetry(),
        timeout=timeout,
        max_message_bytes=2**24,
    ) as result:
        yield result


def method(channel: grpc.aio.Channel, kind: str = "One", service: str = NAME) -> Any:
    """The callable of one method."""
    return getattr(channel, _SHAPES[kind])(f"/{service}/{kind}", _encode, bytes.decode)


async def call(
    channel: grpc.aio.Channel, kind: str, text: str | bytes, service: str = NAME, **options: Any
) -> str:
    """Call a method of any of the four kinds with one text."""
    request = each(text) if _SHAPES[kind].startswith("stream") else text
    reply = method(channel, kind, service)(request, **options)
    if _SHAPES[kind].endswith("stream"):
        return " ".join([word async for word in reply])
    return str(await reply)


async def each(*texts: str | bytes) -> AsyncIterator[str | bytes]:
    """The texts as a stream."""
    for text in texts:
        yield text


def _encode(text: str | bytes) -> bytes:
    # gRPC hands a str over as it is or already encoded.
    return text.encode() if isinstance(text, str) else text


@dataclass(slots=True)
class Held:
    """An act that says when it began and ends when it is let go, or says that it was cancelled."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, text: str) -> str:
        self.begun.set()
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return text


class Lines(io.StringIO):
    """Log lines as they are written, read back from their JSON."""

    def __init__(self) -> None:
        super().__init__()
        self._written = asyncio.Event()

    def write(self, text: str) -> int:
        self._written.set()
        return super().write(text)

    def of(self, event: str) -> list[dict[str, Any]]:
        """The lines of one event."""
        result = [json.loads(line) for line in self.getvalue().splitlines()]
        return [line for line in result if line["event"] == event]

    async def come(self, event: str) -> dict[str, Any]:
        """The first line of an event, once there is one."""
        while not self.of(event):
            self._written.clear()
            await self._written.wait()
        return self.of(event)[0]


@contextmanager
def logged(form: str = "json", level: str = "debug") -> Iterator[Lines]:
    """What the pipeline of `logs.configure` writes inside the block."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, least = root.handlers[:], root.level
    lines = Lines()
    try:
        with redirect_stdout(lines):
            logs.configure("echo", level, form)
        yield lines
    finally:
        structlog.configure(**before)
        root.handlers[:] = handlers
        root.setLevel(least)
