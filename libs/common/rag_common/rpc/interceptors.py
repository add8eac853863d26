"""What happens around every call: ids, deadline, who calls, one log line, errors by the contract."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import grpc

from rag_common import errors
from rag_common.context import CALL, PAYER, Call, Trace, request_id
from rag_common.rpc import wire
from rag_common.rpc.admission import Admission
from rag_common.rpc.listening import Guard
from rag_common.rpc.served import Door, Metadata, Served
from rag_common.rpc.types import Context, Handler
from rag_common.telemetry import Telemetry

_END = object()
_CREDENTIAL = "authorization"
# A message that is ready may take so many seconds to be taken though the call's time is over.
_LEAST_SENDING = 1.0
_INFRASTRUCTURE = ("/grpc.health.", "/grpc.reflection.")


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds a call gets by default, at most, and at least; and how many are served at once."""

    default_deadline: float
    max_deadline: float
    min_budget: float
    max_in_flight: int


class CallInterceptor(grpc.aio.ServerInterceptor):
    """One wrapper around all four kinds of call. Health and reflection pass untouched."""

    def __init__(
        self, limits: Limits, telemetry: Telemetry, guard: Guard, trust_domain: str
    ) -> None:
        self._limits = limits
        self._telemetry = telemetry
        self._metrics = telemetry.metrics
        self._guard = guard
        self._callers = guard.policy(trust_domain)
        self._admission = Admission(limits.max_in_flight)
        self._metrics.capacity.set(limits.max_in_flight)
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False
        self._wrapped: dict[str, Handler] = {}

    async def drain(self, grace: float) -> None:
        """Refuse every new call with DRAINING, and return when none is served, or after `grace` s.

        gRPC's own stop would cancel what waits in its queue, which callers cannot tell from failure.
        """
        self._draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._idle.wait()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Give the method's handler with everything around it, which an unknown method has too."""
        method = handler_call_details.method
        if method in self._wrapped:
            return self._wrapped[method]
        handler = await continuation(handler_call_details)
        if method.startswith(_INFRASTRUCTURE):
            return handler
        if handler is None:
            # Not kept: the caller chose the name, and there are many names.
            return self._unknown(method)
        self._wrapped[method] = self._wrap(method, handler)
        return self._wrapped[method]

    def _wrap(self, method: str, handler: Handler) -> Handler:
        make = getattr(grpc, f"{wire.kind(handler)}_rpc_method_handler")
        most = self._guard.sizes.get(method)
        wrapped: Handler = make(
            self._around_stream(method, wire.stream(handler, most))
            if handler.response_streaming
            else self._around_unary(
                method, wire.unary(handler, most), streams=bool(handler.request_streaming)
            )
        )
        return wrapped

    def _unknown(self, method: str) -> Handler:
        async def refuse(_request: Any, _context: Context) -> AsyncGenerator[Any, None]:
            raise errors.Unimplemented("there is no such method")
            yield

        handler: Handler = grpc.stream_stream_rpc_method_handler(
            self._around_stream(method, refuse)
        )
        return handler

    def _around_unary(
        self, method: str, behave: Callable[..., Awaitable[Any]], *, streams: bool
    ) -> Callable[..., Any]:
        async def unary(request: Any, context: Context) -> Any:
            with self._call(method, context) as served:
                try:
                    async with served.timeout():
                        await served.admit(context)
                        with self._admission.room(served.call.payer):
                            async with served.allowed(streams=streams):
                                return await behave(request, context)
                except Exception as error:
                    failure = served.failure(error)
                await wire.read_out(request)
                return await served.abort(context, failure)

        return unary

    def _around_stream(
        self, method: str, behave: Callable[..., AsyncGenerator[Any, None]]
    ) -> Callable[..., Awaitable[None]]:
        # Writes instead of yielding: gRPC would leave a generator to the garbage collector, and
        # with it the end of the call, where the caller goes away while a message is being sent.
        async def stream(request: Any, context: Context) -> None:
            with self._call(method, context) as served:
                try:
                    async with served.timeout():
                        await served.admit(context)
                    with self._admission.room(served.call.payer):
                        async with served.allowed(streams=True):
                            await self._pass_on(served, behave(request, context), context)
                            return
                except Exception as error:
                    failure = served.failure(error)
                await wire.read_out(request)
                await served.abort(context, failure)

        return stream

    @staticmethod
    async def _pass_on(
        served: Served, generator: AsyncGenerator[Any, None], context: Context
    ) -> None:
        async with aclosing(generator) as messages:
            while True:
                # Around each step alone: time spent in sending is the client's.
                async with served.timeout():
                    message = await anext(messages, _END)
                if message is _END:
                    return
                await _send(message, context, served.call.remaining)

    @contextmanager
    def _call(self, method: str, context: Context) -> Iterator[Served]:
        metadata = _metadata(context)
        parent = Trace.parse(metadata.get("traceparent"))
        # Whoever calls may invent methods; names must not grow with them.
        name = method.lstrip("/") if method in self._wrapped else "_OTHER"
        attributes = {"rpc.system.name": "grpc", "rpc.method": name}
        with self._telemetry.serving(name, parent, attributes) as span:
            call = self._begin(metadata, span.position, context.time_remaining())
            token = CALL.set(call)
            served = Served(method, metadata, call, self._door(method), self._check, span)
            self._in_flight += 1
            self._metrics.in_flight.inc()
            self._idle.clear()
            try:
                yield served
            except asyncio.CancelledError:
                served.cancelled()
                raise
            finally:
                self._in_flight -= 1
                self._metrics.in_flight.dec()
                if not self._in_flight:
                    self._idle.set()
                served.report()
                self._count(served, name)
                CALL.reset(token)

    def _begin(self, metadata: Metadata, at: Trace, remaining: float | None) -> Call:
        asked = self._limits.default_deadline if remaining is None else remaining
        return Call(
            request_id=request_id(metadata.get("x-request-id")),
            trace=at,
            deadline=time.monotonic() + min(asked, self._limits.max_deadline),
            language=metadata.get("accept-language", ""),
            payer=metadata.get(PAYER, "")[:64],
        )

    def _count(self, served: Served, name: str) -> None:
        seconds = time.monotonic() - served.call.started
        self._metrics.calls.labels(name, served.outcome, served.tier).observe(seconds)
        if served.reason:
            self._metrics.refusals.labels(served.reason).inc()

    def _door(self, method: str) -> Door:
        service = method[1:].partition("/")[0]
        known = service in self._guard.unauthenticated
        if known:
            return Door(self._callers, None, None)
        return Door(self._callers, self._guard.authenticate, self._guard.allow)

    def _check(self, call: Call) -> None:
        if self._draining:
            raise errors.Draining("the service is stopping", retry_after=0.2)
        # Those that wait to be known are counted too: nobody knows yet whose they are.
        if self._in_flight > 2 * self._limits.max_in_flight:
            raise errors.ResourceExhausted("too many calls at once", retry_after=0.5)
        if call.remaining < self._limits.min_budget:
            raise errors.DeadlineExceeded(
                "too little time is left to begin", metadata={"stage": "admission"}
            )


def _metadata(context: Context) -> Metadata:
    """The call's headers that are text; of credentials two say nothing, for who checks which?"""
    pairs = [(k, v) for k, v in context.invocation_metadata() or () if isinstance(v, str)]
    single = sum(name == _CREDENTIAL for name, _ in pairs) <= 1
    return {name: value for name, value in pairs if single or name != _CREDENTIAL}


async def _send(message: Any, context: Context, seconds: float) -> None:
    """Raise CancelledError where the message is not taken in time: then nobody is there to be told more."""
    try:
        async with asyncio.timeout(max(seconds, _LEAST_SENDING)):
            await context.write(message)
    except Exception as error:
        raise asyncio.CancelledError from error
