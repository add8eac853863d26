"""A gRPC channel that reconnects when its certificate is renewed, without interrupting running calls."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import grpc

from rag_common.aio import cancel
from rag_common.security.certificates import Certificate, Certificates
from rag_common.security.tls import channel_credentials

Open = Callable[[Certificate | None], grpc.aio.Channel]

# A new channel is used after this many seconds even if it has not connected.
_CONNECT_SECONDS = 5.0


class Channel:
    """The channel interface that generated stubs use; its methods call over the current connection."""

    def __init__(self, open_: Open, certificate: Certificate | None, grace: float) -> None:
        self._open = open_
        self._grace = grace
        self._current = Connection(open_(certificate))
        self._replacing: set[asyncio.Task[None]] = set()
        # Replacements run one at a time, or a slow one with an older certificate could come last.
        self._replace_lock = asyncio.Lock()

    def unary_unary(self, method: str, *how: Any, **named: Any) -> "Method":
        """One message each way."""
        return self._method("unary_unary", method, how, named)

    def unary_stream(self, method: str, *how: Any, **named: Any) -> "Method":
        """One message out, many back."""
        return self._method("unary_stream", method, how, named)

    def stream_unary(self, method: str, *how: Any, **named: Any) -> "Method":
        """Many messages out, one back."""
        return self._method("stream_unary", method, how, named)

    def stream_stream(self, method: str, *how: Any, **named: Any) -> "Method":
        """Many messages each way."""
        return self._method("stream_stream", method, how, named)

    def hold(self) -> "Connection":
        """Keep the current connection open until its `release` is called, and return it."""
        self._current.hold()
        return self._current

    def renew(self, certificate: Certificate) -> None:
        """Connect with the certificate, use that connection for new calls, and let running calls end."""
        task = asyncio.get_running_loop().create_task(self._replace(certificate))
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def channel_ready(self) -> None:
        """Return once connected."""
        await self._current.channel.channel_ready()

    async def close(self) -> None:
        """Close the channel, cancelling running calls."""
        await cancel(*self._replacing)
        await self._current.channel.close()

    async def _replace(self, certificate: Certificate) -> None:
        async with self._replace_lock:
            old, self._current = self._current, await self._connected(certificate)
        try:
            await old.wait_unused(self._grace)
        finally:
            await old.channel.close()

    async def _connected(self, certificate: Certificate) -> "Connection":
        """A new connection; it may still be connecting if that takes over `_CONNECT_SECONDS`."""
        new = Connection(self._open(certificate))
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CONNECT_SECONDS):
                    await new.channel.channel_ready()
        except BaseException:
            await new.channel.close()
            raise
        return new

    def _method(self, kind: str, method: str, how: Any, named: Any) -> "Method":
        bind = partial(_bound, kind, method, how, named)
        return Method(method.lstrip("/"), lambda: self._current.method(method, bind))


class Method:
    """A channel's method, called over the connection that is current; `name` is its full name."""

    def __init__(self, name: str, current: Callable[[], Callable[..., Any]]) -> None:
        self.name = name
        self._current = current

    def __call__(self, *request: Any, **options: Any) -> Any:
        """Begin the call; without a request if requests are to be written to it."""
        return self._current()(*request, **options)


class Connection:
    """One connection, the methods bound to it, and how many calls hold it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self._methods: dict[str, Callable[..., Any]] = {}
        self._holders = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def method(
        self, name: str, bind: Callable[[grpc.aio.Channel], Callable[..., Any]]
    ) -> Callable[..., Any]:
        if name not in self._methods:
            self._methods[name] = bind(self.channel)
        return self._methods[name]

    def hold(self) -> None:
        self._holders += 1
        self._idle.clear()

    def release(self) -> None:
        self._holders -= 1
        if not self._holders:
            self._idle.set()

    async def wait_unused(self, seconds: float) -> None:
        """Return when no call holds it, or after `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()


def _bound(
    kind: str, method: str, how: Any, named: Any, channel: grpc.aio.Channel
) -> Callable[..., Any]:
    bound: Callable[..., Any] = getattr(channel, kind)(method, *how, **named)
    return bound


@asynccontextmanager
async def open_channel(
    name: str,
    target: str,
    options: list[tuple[str, Any]],
    certificates: Certificates | None,
    grace: float,
) -> AsyncIterator[Channel]:
    """A channel to `target`; with certificates, to a server whose certificate has the DNS name `name`."""

    def open_(certificate: Certificate | None) -> grpc.aio.Channel:
        if certificate is None:
            return grpc.aio.insecure_channel(target, options=options)
        named = [*options, ("grpc.ssl_target_name_override", name)]
        return grpc.aio.secure_channel(target, channel_credentials(certificate), options=named)

    channel = Channel(open_, certificates.current() if certificates else None, grace)
    if certificates:
        certificates.subscribe(channel.renew)
    try:
        yield channel
    finally:
        await channel.close()
