"""A channel that is replaced when its certificate is renewed, while calls and streams go on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any

import grpc

from rag_common.certificates import Certificate, Certificates
from rag_common.rpc.tls import channel_credentials

Open = Callable[[Certificate | None], grpc.aio.Channel]

# How long a new channel may take to connect before calls go over it in any case.
_CONNECT_SECONDS = 5.0


class Channel:
    """What a generated stub needs of a channel: methods that call over the present connection."""

    def __init__(self, open_: Open, certificate: Certificate | None, grace: float) -> None:
        self._open = open_
        self._grace = grace
        self._present = _Line(open_(certificate))
        self._replacing: set[asyncio.Task[None]] = set()
        # One after the other, or a certificate that connects late would take the newest one's place.
        self._turn = asyncio.Lock()

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

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the connection that is present now for as long as the block lasts."""
        line = self._present
        line.hold()
        try:
            yield
        finally:
            line.release()

    def renew(self, certificate: Certificate) -> None:
        """Connect with the certificate, call over that from then on, and let the old calls end."""
        task = asyncio.get_running_loop().create_task(self._replace(certificate))
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def channel_ready(self) -> None:
        """Return once connected."""
        await self._present.channel.channel_ready()

    async def close(self) -> None:
        """Cancel whatever is still called."""
        for task in list(self._replacing):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._present.channel.close()

    async def _replace(self, certificate: Certificate) -> None:
        async with self._turn:
            old, self._present = self._present, await self._connected(certificate)
        try:
            await old.unused(self._grace)
        finally:
            await old.channel.close()

    async def _connected(self, certificate: Certificate) -> "_Line":
        """A new connection, which need not stand yet where that takes too long."""
        new = _Line(self._open(certificate))
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
        return Method(method.lstrip("/"), lambda: self._present.method(method, bind))


class Method:
    """A method of a channel, called over whichever connection is present; `name` is its full name."""

    def __init__(self, name: str, present: Callable[[], Callable[..., Any]]) -> None:
        self.name = name
        self._present = present

    def __call__(self, request: Any, **options: Any) -> Any:
        """Begin the call."""
        return self._present()(request, **options)


class _Line:
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

    async def unused(self, most: float) -> None:
        """Return when no call holds it, or after `most` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(most):
                await self._idle.wait()


def _bound(
    kind: str, method: str, how: Any, named: Any, channel: grpc.aio.Channel
) -> Callable[..., Any]:
    bound: Callable[..., Any] = getattr(channel, kind)(method, *how, **named)
    return bound


@asynccontextmanager
async def opened(
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
