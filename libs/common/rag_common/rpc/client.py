"""Calling another service: one channel, the caller's ids and what is left of its time, typed errors."""

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from rag_common import errors, tracing
from rag_common.certificates import Certificates
from rag_common.context import CALL, PAYER, Call
from rag_common.rpc import status
from rag_common.rpc.channels import Channel, opened
from rag_common.telemetry import Telemetry

# Calls go round the replicas that say SERVING on their own health service.
_BALANCING = json.dumps(
    {"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}}
)
# A callee stops this much before its caller, so that the caller can still say what happened.
_MARGIN = 0.02
# How long calls may go on over a connection whose certificate has been renewed.
_OLD_SECONDS = 3600.0


class Peer:
    """Another service: `unary` and `stream` call it with what is left of the present call's time."""

    def __init__(self, name: str, channel: Channel, telemetry: Telemetry, timeout: float) -> None:
        self.name = name
        # Typed by what it stands for: generated stubs ask for gRPC's own class.
        self.channel: Any = channel
        self._calls = telemetry.metrics.peer_calls
        self._timeout = timeout

    async def unary(self, method: Any, request: Any, *, timeout: float | None = None) -> Any:
        """Call and wait. Raises AppError."""
        with self._calling(method, timeout) as options:
            return await method(request, **options)

    async def upload(
        self, method: Any, requests: AsyncIterator[Any], *, timeout: float | None = None
    ) -> Any:
        """Call with a stream of messages and wait. An error in making a message is raised as it is."""
        feed = _Feed(requests)
        with self._calling(method, timeout) as options, feed.errors():
            return await method(feed.messages(), **options)

    async def stream(
        self, method: Any, request: Any, *, timeout: float | None = None
    ) -> AsyncIterator[Any]:
        """Call and give the replies as they come. Leaving the loop cancels the call. Raises AppError.

        `request` is a message, or an async iterator of them.
        """
        feed = _Feed(request) if isinstance(request, AsyncIterator) else None
        calling = self._calling(method, timeout, streams=True)
        with calling as options, feed.errors() if feed else nullcontext():
            call = method(feed.messages() if feed else request, **options)
            try:
                async for reply in call:
                    yield reply
            finally:
                call.cancel()

    async def serving(self) -> None:
        """Return where the peer says SERVING; raise Unavailable where it does not, within a second."""
        stub = health_pb2_grpc.HealthStub(self.channel)
        with peer_errors(self.name), self.channel.held():
            reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=1.0)
        if reply.status != health_pb2.HealthCheckResponse.SERVING:
            raise errors.Unavailable(f"{self.name} is not serving", metadata={"peer": self.name})

    @contextmanager
    def _calling(
        self, method: Any, timeout: float | None, *, streams: bool = False
    ) -> Iterator[dict[str, Any]]:
        call = CALL.get()
        budget = self._timeout if timeout is None else timeout
        if call:
            budget = min(budget, _exact(call.remaining - _MARGIN))
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
        made = tracing.current().child(name, "client", attributes)
        with (
            tracing.finishing(made) if streams else tracing.ending(made) as span,
            self._measured(name, span),
            peer_errors(self.name),
            self.channel.held(),
        ):
            yield {"timeout": budget, "metadata": _metadata(call, span)}

    @contextmanager
    def _measured(self, name: str, span: tracing.Span) -> Iterator[None]:
        """Count the call by how it ended."""
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
            span.set("rpc.response.status_code", code)
            seconds = time.monotonic() - began
            self._calls.labels(self.name, name, code).observe(seconds)


class _Feed:
    """Messages for a call. gRPC answers an error in making one by cancelling the call: keep the error."""

    def __init__(self, source: AsyncIterator[Any]) -> None:
        self._source = source
        self._error: Exception | None = None

    async def messages(self) -> AsyncIterator[Any]:
        """The source's messages, up to the first error, after which the call is worth nothing."""
        try:
            async for message in self._source:
                yield message
        except Exception as error:
            self._error = error
            raise asyncio.CancelledError from error

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise the source's error instead of what it did to the call."""
        try:
            yield
        except (asyncio.CancelledError, grpc.RpcError):
            if self._error:
                raise self._error from None
            raise


def _exact(seconds: float) -> float:
    """At most so long, and such that gRPC sends it as it is: it rounds up to three digits, or 1 ms."""
    if seconds <= 0:
        return 0.0
    step = max(0.001, 10.0 ** (math.floor(math.log10(seconds)) - 2))
    return math.floor(seconds / step) * step


def _metadata(call: Call | None, span: tracing.Span) -> tuple[tuple[str, str], ...]:
    """What a callee is told of the call that it is part of; nothing where there is none."""
    if not call:
        return ()
    at = span.position if span.recording else call.trace
    payer = ((PAYER, call.payer),) if call.payer else ()
    # Header values are printable ASCII; what came in as a header was.
    language = (("accept-language", call.language),) if call.language else ()
    ids = (("traceparent", at.traceparent), ("x-request-id", call.request_id))
    return (*ids, *payer, *language)


@contextmanager
def peer_errors(name: str) -> Iterator[None]:
    """Turn gRPC's error into the AppError that the peer raised, or the nearest."""
    try:
        yield
    except grpc.RpcError as error:
        failure = status.from_rpc_error(error, name)
        if isinstance(failure, errors.Cancelled):
            # We did not cancel it, so the peer went away with the call in hand.
            failure = errors.Unavailable(
                f"{name} went away", metadata={"peer": name}, retry_after=0.5
            )
        raise failure from error


@asynccontextmanager
async def connected(
    name: str,
    target: str,
    telemetry: Telemetry,
    *,
    timeout: float,
    max_message_bytes: int,
    certificates: Certificates | None = None,
) -> AsyncIterator[Peer]:
    """A peer at `target` (host:port, or dns:///name for all replicas); closed on leaving.

    With certificates both sides show one, and the peer's must have the DNS name `name`.
    """
    options = [
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.service_config", _BALANCING),
        ("grpc.enable_http_proxy", 0),
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 1000),
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 5_000),
    ]
    async with opened(name, target, options, certificates, _OLD_SECONDS) as channel:
        yield Peer(name, channel, telemetry, timeout)
