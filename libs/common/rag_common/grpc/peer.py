"""Calls to another service: propagates ids and the remaining deadline, raises the contract's errors."""

import asyncio
import json
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from rag_common.context import CALL, TENANT_HEADER, Call
from rag_common.grpc.channel import Channel, open_channel
from rag_common.observability import tracing
from rag_common.observability.metrics import deadline_label
from rag_common.observability.setup import Telemetry
from rag_common.security.certificates import Certificates
from rag_contract import errors, request_streams, status

# Calls go round the replicas that say SERVING on their own health service.
_BALANCING = json.dumps(
    {"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}}
)
# A callee's deadline is this much earlier, so that the caller can still report what happened.
_MARGIN = 0.02
# A peer whose health check takes longer is considered hung.
_CHECK_SECONDS = 1.0
# How long calls may continue over a connection whose certificate has been renewed.
_OLD_SECONDS = 3600.0


class Peer:
    """Another service: `unary` and `stream` call it with the current call's remaining time."""

    def __init__(self, name: str, channel: Channel, telemetry: Telemetry, timeout: float) -> None:
        self.name = name
        # Any, because generated stubs expect gRPC's own class.
        self.channel: Any = channel
        self._calls = telemetry.metrics.peer_calls
        self._timeout = timeout

    async def unary(
        self,
        method: Any,
        request: Any,
        *,
        timeout: float | None = None,
        expected: tuple[type[errors.AppError], ...] = (),
    ) -> Any:
        """Call and wait. Raises AppError.

        An error of the `expected` kinds is a normal result, such as NotFound for an existence check:
        it is raised too, but does not mark the call's span as failed.
        """
        with self._calling(method, timeout, expected=expected) as call:
            return await method(request, timeout=call.timeout, metadata=call.metadata)

    async def upload(
        self, method: Any, requests: AsyncIterator[Any], *, timeout: float | None = None
    ) -> Any:
        """Call with a stream of messages and wait. An error of the `requests` iterator is raised as it is."""
        with self._calling(method, timeout) as call:
            begun = method(timeout=call.timeout, metadata=call.metadata)
            return await request_streams.upload(begun, requests)

    async def prompt(self, method: Any, request: Any, *, start: float) -> Any:
        """Call and wait for the one reply and the end of the call. Raises AppError.

        Raises DependencyDown if the peer does not start in time; `start` is as in `stream`.

        `method` must be created by `unary_stream` though it has one reply: grpc.aio provides the
        headers of a unary call only together with its reply.
        """
        received = None
        async with aclosing(self.stream(method, request, start=start)) as replies:
            # To the end: leaving after the reply would cancel the call, in metrics and traces too.
            async for reply in replies:
                if received is not None:
                    raise errors.Internal(f"{self.name} sent a second reply")
                received = reply
        if received is None:
            raise errors.Internal(f"{self.name} ended the call without a reply")
        return received

    async def stream(
        self,
        method: Any,
        request: Any,
        *,
        timeout: float | None = None,
        start: float | None = None,
        convert: Callable[[Any], Any] | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Call and yield the replies as they arrive. Leaving the loop cancels the call. Raises AppError.

        `request` is a message, or an async iterator of them. The peer must send its response headers
        within `start` seconds, or it counts as hung: DependencyDown; None is no such limit. A handler
        that works for long sends them before it begins (`send_initial_metadata`). `convert`
        maps each reply; what becomes None is left out.
        """
        with self._calling(method, timeout, current=False) as begun:
            options = {"timeout": begun.timeout, "metadata": begun.metadata}
            if isinstance(request, AsyncIterator):
                call = method(**options)
                replies = request_streams.converse(call, request)
            else:
                call = replies = method(request, **options)
            try:
                if start is not None:
                    await self._started(call, start)
                async for reply in replies:
                    item = convert(reply) if convert else reply
                    if item is not None:
                        yield item
            finally:
                call.cancel()

    async def _started(self, call: Any, seconds: float) -> None:
        """Return when the response headers, or the end of the call, have come."""
        try:
            async with asyncio.timeout(seconds):
                await call.initial_metadata()
        except TimeoutError:
            raise errors.DependencyDown(
                f"{self.name} did not start to answer within {seconds:g} s",
                metadata={"peer": self.name},
                retry_after=1.0,
            ) from None

    async def serving(self) -> None:
        """Return where the peer says SERVING; raise Unavailable where it does not, within a second."""
        stub = health_pb2_grpc.HealthStub(self.channel)
        connection = self.channel.hold()
        try:
            reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=_CHECK_SECONDS)
        except grpc.RpcError as error:
            raise error_of(error, self.name) from error
        finally:
            connection.release()
        if reply.status != health_pb2.HealthCheckResponse.SERVING:
            raise errors.DependencyDown(f"{self.name} is not serving", metadata={"peer": self.name})

    def measure(self, method: str, code: str, seconds: float, deadline: str) -> None:
        """Add a call to the metric of calls to other services."""
        self._calls.labels(self.name, method, code, deadline).observe(seconds)

    def _calling(
        self,
        method: Any,
        timeout: float | None,
        *,
        current: bool = True,
        expected: tuple[type[errors.AppError], ...] = (),
    ) -> "_OutgoingCall":
        seconds = self._timeout if timeout is None else timeout
        return _OutgoingCall(self, method, seconds, current=current, expected=expected)


class _OutgoingCall:
    """One call to a peer: its deadline, span, headers and metrics; raises the contract's errors.

    `timeout` is what is left of the call that is being served, at most the peer's own. `current` is whether
    the span is the current one inside the block: not for what hands out values in between, as a generator
    would leave its own span behind as that of its consumer. An error of the `expected` kinds does not mark
    the span as failed.
    """

    __slots__ = (
        "_before", "_began", "_connection", "_expected", "_method", "_peer", "_serving", "_span",
        "current", "metadata", "timeout",
    )  # fmt: skip

    def __init__(
        self,
        peer: Peer,
        method: Any,
        timeout: float,
        *,
        current: bool = True,
        expected: tuple[type[errors.AppError], ...] = (),
    ) -> None:
        self._peer = peer
        self._method: str = method.name
        self.timeout = timeout
        self.current = current
        self._expected = expected
        self.metadata: tuple[tuple[str, str], ...] = ()

    def __enter__(self) -> "_OutgoingCall":
        peer, name = self._peer, self._peer.name
        call = self._serving = CALL.get()
        if call:
            self.timeout = min(self.timeout, _round_down(call.remaining - _MARGIN))
        if self.timeout <= 0:
            raise errors.DeadlineExceeded(f"no time is left for {name}", metadata={"stage": name})
        self._before = contexts.get_current()
        self._span = tracing.start_span(
            self._method,
            SpanKind.CLIENT,
            {"rpc.system.name": "grpc", "rpc.method": self._method, "server.address": name},
        )
        inside = trace.set_span_in_context(self._span, self._before)
        if call:
            self.metadata = _metadata(call, inside)
        if self.current:
            contexts.attach(inside)
        self._connection = peer.channel.hold()
        self._began = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.release()
        if isinstance(error, grpc.RpcError):
            failure = error_of(error, self._peer.name)
            self._end(failure)
            raise failure from error
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        code = "OK"
        if isinstance(error, errors.AppError):
            code = status.code(error).name
        elif error is not None:
            code = tracing.CANCELLED
        span = self._span
        if span.is_recording():
            span.set_attribute("rpc.response.status_code", code)
            if error is not None and not isinstance(error, self._expected):
                tracing.fail(span, tracing.reason(error))
        self._peer.measure(
            self._method, code, time.monotonic() - self._began, deadline_label(self._serving, code)
        )
        if self.current:
            contexts.attach(self._before)
        span.end()


def _round_down(seconds: float) -> float:
    """The seconds rounded down to three digits or 1 ms: gRPC would round them up."""
    if seconds <= 0:
        return 0.0
    step = max(0.001, 10.0 ** (math.floor(math.log10(seconds)) - 2))
    return math.floor(seconds / step) * step


def _metadata(call: Call, context: contexts.Context) -> tuple[tuple[str, str], ...]:
    """The headers that propagate the current call's context, whose span is that of `context`."""
    headers: dict[str, str] = {}
    tracing.PROPAGATOR.inject(headers, context)
    tenant = ((TENANT_HEADER, call.tenant),) if call.tenant else ()
    # Header values are printable ASCII; what came in as a header was.
    language = (("accept-language", call.language),) if call.language else ()
    return (*headers.items(), ("x-request-id", call.request_id), *tenant, *language)


def error_of(error: grpc.RpcError, name: str) -> errors.AppError:
    """The AppError that the peer of this name raised, or the nearest to gRPC's error."""
    failure = status.from_rpc_error(error, name)
    if isinstance(failure, errors.Cancelled):
        # This side did not cancel it, so the peer stopped during the call.
        return errors.DependencyDown(
            f"{name} stopped during the call", metadata={"peer": name}, retry_after=0.5
        )
    return failure


@asynccontextmanager
async def open_peer(
    name: str,
    target: str,
    telemetry: Telemetry,
    *,
    timeout: float,
    max_message_bytes: int,
    certificates: Certificates | None = None,
) -> AsyncIterator[Peer]:
    """A peer at `target` (host:port, or dns:///name for all replicas); closed on leaving.

    With `certificates` the connection uses mutual TLS, and the peer's certificate must have the DNS
    name `name`; None is plaintext.
    """
    options = [
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.service_config", _BALANCING),
        ("grpc.enable_http_proxy", 0),
        # Without this, pods that are all replaced within 30 seconds are not found until these are over.
        ("grpc.dns_min_time_between_resolutions_ms", 1000),
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 1000),
        # A peer that hangs in the middle of a call answers no ping. The second timeout ends the
        # calls; its default of 60 s would apply whatever the first one is.
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.http2.ping_timeout_ms", 5_000),
    ]
    async with open_channel(name, target, options, certificates, _OLD_SECONDS) as channel:
        yield Peer(name, channel, telemetry, timeout)
