"""Calls to another service: propagates ids and the remaining deadline, raises the contract's errors."""

import asyncio
import json
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

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
        with self._calling(method, timeout, expected=expected) as options:
            return await method(request, **options)

    async def upload(
        self, method: Any, requests: AsyncIterator[Any], *, timeout: float | None = None
    ) -> Any:
        """Call with a stream of messages and wait. An error of the `requests` iterator is raised as it is."""
        with self._calling(method, timeout) as options:
            return await request_streams.upload(method(**options), requests)

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
        with self._calling(method, timeout, streams=True) as options:
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
        with peer_errors(self.name), self.channel.hold():
            reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=_CHECK_SECONDS)
        if reply.status != health_pb2.HealthCheckResponse.SERVING:
            raise errors.DependencyDown(f"{self.name} is not serving", metadata={"peer": self.name})

    @contextmanager
    def _calling(
        self,
        method: Any,
        timeout: float | None,
        *,
        streams: bool = False,
        expected: tuple[type[errors.AppError], ...] = (),
    ) -> Iterator[dict[str, Any]]:
        call = CALL.get()
        budget = self._timeout if timeout is None else timeout
        if call:
            budget = min(budget, _round_down(call.remaining - _MARGIN))
        if budget <= 0:
            raise errors.DeadlineExceeded(
                f"no time is left for {self.name}", metadata={"stage": self.name}
            )
        name: str = method.name
        attributes = {
            "rpc.system.name": "grpc",
            "rpc.method": name,
            "server.address": self.name,
        }
        span = tracing.start_span(name, SpanKind.CLIENT, attributes)
        with (
            tracing.ending(span)
            if streams
            else tracing.use_span(span, end_on_exit=True, expected=expected),
            self._measured(name, span, call),
            peer_errors(self.name),
            self.channel.hold(),
        ):
            yield {"timeout": budget, "metadata": _metadata(call, span)}

    @contextmanager
    def _measured(self, name: str, span: Span, serving: Call | None) -> Iterator[None]:
        """Measure the call by its status; `serving` is the incoming call that it belongs to, or None."""
        began = time.monotonic()
        code = "OK"
        try:
            yield
        except errors.AppError as error:
            code = status.code(error).name
            raise
        except BaseException:
            code = tracing.CANCELLED
            raise
        finally:
            span.set_attribute("rpc.response.status_code", code)
            seconds = time.monotonic() - began
            deadline = deadline_label(serving, code)
            self._calls.labels(self.name, name, code, deadline).observe(seconds)


def _round_down(seconds: float) -> float:
    """The seconds rounded down to three digits or 1 ms: gRPC would round them up."""
    if seconds <= 0:
        return 0.0
    step = max(0.001, 10.0 ** (math.floor(math.log10(seconds)) - 2))
    return math.floor(seconds / step) * step


def _metadata(call: Call | None, span: Span) -> tuple[tuple[str, str], ...]:
    """The headers that propagate the current call's context; empty outside of a call."""
    if not call:
        return ()
    headers: dict[str, str] = {}
    tracing.PROPAGATOR.inject(headers, trace.set_span_in_context(span))
    tenant = ((TENANT_HEADER, call.tenant),) if call.tenant else ()
    # Header values are printable ASCII; what came in as a header was.
    language = (("accept-language", call.language),) if call.language else ()
    return (*headers.items(), ("x-request-id", call.request_id), *tenant, *language)


@contextmanager
def peer_errors(name: str) -> Iterator[None]:
    """Turn gRPC's error into the AppError that the peer raised, or the nearest."""
    try:
        yield
    except grpc.RpcError as error:
        failure = status.from_rpc_error(error, name)
        if isinstance(failure, errors.Cancelled):
            # This side did not cancel it, so the peer stopped during the call.
            failure = errors.DependencyDown(
                f"{name} stopped during the call", metadata={"peer": name}, retry_after=0.5
            )
        raise failure from error


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
