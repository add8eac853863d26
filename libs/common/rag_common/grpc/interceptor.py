"""The interceptor around every call: ids, deadline, authentication, limits, log line, error statuses."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import grpc
from opentelemetry.trace import Span

from rag_common.context import CALL, TENANT_HEADER, Call, request_id
from rag_common.grpc import codec
from rag_common.grpc.call import AccessPolicy, Admission, Metadata, ServerCall
from rag_common.grpc.codec import Codec
from rag_common.grpc.discard import Discarder
from rag_common.grpc.ports import ServerSecurity
from rag_common.grpc.types import Context, Handler
from rag_common.observability import tracing
from rag_common.observability.metrics import deadline_label
from rag_common.observability.setup import ServedSpan, Telemetry
from rag_contract import errors

_END = object()
_CREDENTIAL = "authorization"
_TRACESTATE = "tracestate"
# A message that is ready may be sent for at least this long, even if the call's deadline is nearer.
_MIN_SEND_SECONDS = 1.0
# How many calls are drained at once after their status is known, and for how many seconds each:
# those that were admitted, and those that were refused before authentication.
_ADMITTED_MAX_CALLS, _ADMITTED_SECONDS = 64, 30.0
_UNAUTHENTICATED_MAX_CALLS, _UNAUTHENTICATED_SECONDS = 64, 0.5
_INFRASTRUCTURE = ("/grpc.health.", "/grpc.reflection.")


@dataclass(frozen=True, slots=True)
class Limits:
    """Default, maximum and minimum deadline of a call in seconds, and the maximum number of calls.

    A call with a deadline under `short_deadline` seconds (or under `min_budget`, which refuses it at
    once) that misses it is counted separately: no healthy service could have served it in time.
    """

    default_deadline: float
    max_deadline: float
    min_budget: float
    max_in_flight: int
    short_deadline: float = 0.0

    @property
    def too_short(self) -> float:
        """The deadline in seconds under which no call can be expected to succeed."""
        return max(self.short_deadline, self.min_budget)


@dataclass(frozen=True, slots=True)
class _Method:
    """A method as calls of it are served: its path, its name in metrics and spans, its access policy."""

    path: str
    name: str
    attributes: Mapping[str, str]
    policy: AccessPolicy


class _ClientGone(Exception):
    """A message could not be sent: the client has disconnected or does not read."""


class CallInterceptor(grpc.aio.ServerInterceptor):
    """One wrapper around all four kinds of call. Health and reflection are passed through."""

    def __init__(
        self, limits: Limits, telemetry: Telemetry, security: ServerSecurity, trust_domain: str
    ) -> None:
        self._limits = limits
        self._telemetry = telemetry
        self._metrics = telemetry.metrics
        self._security = security
        self._callers = security.caller_policy(trust_domain)
        self._admission = Admission(limits.max_in_flight)
        self._metrics.capacity.set(limits.max_in_flight)
        self._in_flight = 0
        self._admitted_discarder = Discarder(_ADMITTED_MAX_CALLS, _ADMITTED_SECONDS)
        self._unauthenticated_discarder = Discarder(
            _UNAUTHENTICATED_MAX_CALLS, _UNAUTHENTICATED_SECONDS
        )
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False
        self._wrapped: dict[str, Handler] = {}

    async def drain(self, grace: float) -> None:
        """Refuse new calls with DRAINING, and return when none is running, or after `grace` seconds.

        gRPC's own stop would cancel queued calls, which callers cannot distinguish from a failure.
        """
        self._draining = True
        for discarder in (self._admitted_discarder, self._unauthenticated_discarder):
            discarder.hurry()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._idle.wait()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The method's wrapped handler; an unknown method gets a wrapped refusal."""
        method = handler_call_details.method
        if method in self._wrapped:
            return self._wrapped[method]
        handler = await continuation(handler_call_details)
        if method.startswith(_INFRASTRUCTURE):
            return handler
        if handler is None:
            # Not cached: callers choose the name, so the cache could grow without bound.
            return self._unknown(method)
        self._wrapped[method] = self._wrap(method, handler)
        return self._wrapped[method]

    def _wrap(self, method: str, handler: Handler) -> Handler:
        make = getattr(grpc, f"{codec.kind(handler)}_rpc_method_handler")
        max_bytes = self._security.sizes.get(method)
        around = self._around_stream if handler.response_streaming else self._around_unary
        behave = getattr(handler, codec.kind(handler))
        decode, encode = codec.reader(handler, max_bytes), codec.writer(handler)
        wrapped: Handler = make(around(self._method(method, known=True), decode, behave, encode))
        return wrapped

    def _unknown(self, method: str) -> Handler:
        async def refuse(_request: Any, _context: Context) -> AsyncGenerator[Any, None]:
            raise errors.Unimplemented("there is no such method")
            yield

        handler: Handler = grpc.stream_stream_rpc_method_handler(
            self._around_stream(self._method(method, known=False), _unchanged, refuse, _unchanged)
        )
        return handler

    def _around_unary(
        self, method: "_Method", decode: Codec, behave: Callable[..., Awaitable[Any]], encode: Codec
    ) -> Callable[..., Any]:
        async def unary(request: Any, context: Context) -> Any:
            with _Serving(self, method, context) as served:
                try:
                    async with served.timeout():
                        await served.admit(context)
                        with self._admission.room(served.call.tenant):
                            try:
                                async with served.call.resources:
                                    message = _naming(served.call, decode(request))
                                    reply = encode(await behave(message, context))
                                    served.require_reserved()
                            except errors.AppError:
                                await served.charge_refused()
                                raise
                    # A handler that replies early leaves some of the requests unread.
                    await self._discard(served, request)
                    return reply
                except asyncio.CancelledError as error:
                    failure = served.stray_cancellation(error)
                except Exception as error:
                    failure = served.failure(error)
                await self._discard(served, request)
                return await served.abort(context, failure)

        return unary

    def _around_stream(
        self,
        method: "_Method",
        decode: Codec,
        behave: Callable[..., AsyncGenerator[Any, None]],
        encode: Codec,
    ) -> Callable[..., Awaitable[None]]:
        # Writes instead of yielding: if the client disconnects while a message is being sent, gRPC
        # leaves a generator, and so the end of the call, to the garbage collector.
        async def stream(request: Any, context: Context) -> None:
            with _Serving(self, method, context) as served:
                try:
                    async with served.timeout():
                        await served.admit(context)
                    with self._admission.room(served.call.tenant):
                        try:
                            async with served.call.resources:
                                message = _naming(served.call, decode(request))
                                messages = behave(message, context)
                                await self._pass_on(served, messages, encode, context)
                                served.require_reserved()
                        except errors.AppError:
                            await served.charge_refused()
                            raise
                    await self._discard(served, request)
                    return
                except _ClientGone as error:
                    raise asyncio.CancelledError from error
                except asyncio.CancelledError as error:
                    failure = served.stray_cancellation(error)
                except Exception as error:
                    failure = served.failure(error)
                await self._discard(served, request)
                await served.abort(context, failure)

        return stream

    @staticmethod
    async def _pass_on(
        served: ServerCall, generator: AsyncGenerator[Any, None], encode: Codec, context: Context
    ) -> None:
        async with aclosing(generator) as messages:
            while True:
                # Around each step only: time spent on sending is the client's.
                async with served.timeout():
                    message = await anext(messages, _END)
                if message is _END:
                    return
                await _send(encode(message), context, served.call.remaining)

    async def _discard(self, served: ServerCall, request: Any) -> None:
        """Read what the client still streams, now that the status is known.

        The call is no longer in flight: a client that keeps on sending takes no other call's place.
        """
        if not isinstance(request, AsyncIterator):
            return
        self._release(served)
        await (
            self._admitted_discarder if served.admitted else self._unauthenticated_discarder
        ).discard(request)

    def enter(
        self, method: "_Method", context: Context, span: Span, metadata: Metadata
    ) -> ServerCall:
        """Begin to serve a call, which counts as one of those in flight."""
        call = self._begin(metadata, tracing.trace_id(span), context.time_remaining())
        served = ServerCall(method.path, metadata, call, method.policy, self._check, span)
        self._in_flight += 1
        self._metrics.in_flight.inc()
        self._idle.clear()
        return served

    def leave(self, method: "_Method", served: ServerCall) -> None:
        """Log and measure a call that has ended."""
        self._release(served)
        served.report()
        seconds = time.monotonic() - served.call.started
        deadline = deadline_label(served.call, served.outcome)
        labels = method.name, served.outcome, served.tier, deadline
        self._metrics.calls.labels(*labels).observe(seconds)
        if served.reason:
            self._metrics.refusals.labels(served.reason).inc()

    def serving(self, method: "_Method", metadata: Metadata) -> ServedSpan:
        """The span of a call of the method."""
        return self._telemetry.serving(method.name, metadata, method.attributes)

    def _release(self, served: ServerCall) -> None:
        """Remove the call from those in flight; calling it again has no effect."""
        if not served.counted:
            return
        served.counted = False
        self._in_flight -= 1
        self._metrics.in_flight.dec()
        if not self._in_flight:
            self._idle.set()

    def _begin(self, metadata: Metadata, trace_id: str, remaining: float | None) -> Call:
        seconds = self._limits.default_deadline if remaining is None else remaining
        return Call(
            request_id=request_id(metadata.get("x-request-id")),
            trace_id=trace_id,
            deadline=time.monotonic() + min(seconds, self._limits.max_deadline),
            language=metadata.get("accept-language", ""),
            tenant=metadata.get(TENANT_HEADER, "")[:64],
            hurried=remaining is not None and remaining < self._limits.too_short,
        )

    def _method(self, path: str, *, known: bool) -> "_Method":
        # Callers can invent method names; the number of label values must stay bounded.
        name = path.lstrip("/") if known else "_OTHER"
        attributes = {"rpc.system.name": "grpc", "rpc.method": name}
        return _Method(path, name, attributes, self._policy(path))

    def _policy(self, method: str) -> AccessPolicy:
        service = method[1:].partition("/")[0]
        if service in self._security.unauthenticated:
            return AccessPolicy(self._callers, None, None)
        return AccessPolicy(self._callers, self._security.authenticate, self._security.limiter)

    def _check(self, call: Call) -> None:
        if self._draining:
            raise errors.Draining("the service is stopping", retry_after=0.2)
        # Calls that are being authenticated count too, though their tenant is not known yet.
        if self._in_flight > 2 * self._limits.max_in_flight:
            raise errors.ConcurrencyLimit("too many calls at once", retry_after=0.5)
        if call.remaining < self._limits.min_budget:
            raise errors.DeadlineExceeded(
                "too little time is left before the deadline", metadata={"stage": "admission"}
            )


class _Serving:
    """One call, from its arrival to its log line.

    A class with two methods, as each nested generator of `contextmanager` costs four times as much.
    """

    __slots__ = ("_interceptor", "_method", "_served", "_span", "_token")

    def __init__(self, interceptor: CallInterceptor, method: _Method, context: Context) -> None:
        metadata = _metadata(context)
        self._interceptor = interceptor
        self._method = method
        self._span = interceptor.serving(method, metadata)
        self._served = interceptor.enter(method, context, self._span.span, metadata)

    def __enter__(self) -> ServerCall:
        self._span.__enter__()
        self._token = CALL.set(self._served.call)
        return self._served

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, asyncio.CancelledError):
            self._served.cancelled()
        try:
            self._interceptor.leave(self._method, self._served)
        finally:
            CALL.reset(self._token)
            self._span.__exit__()


def _metadata(context: Context) -> Metadata:
    """The call's text headers; more than one credential is ignored, as it would be ambiguous."""
    pairs = [(k, v) for k, v in context.invocation_metadata() or () if isinstance(v, str)]
    single = sum(name == _CREDENTIAL for name, _ in pairs) <= 1
    headers = {name: value for name, value in pairs if single or name != _CREDENTIAL}
    if _TRACESTATE in headers:
        # It is a list, which may come as several headers.
        headers[_TRACESTATE] = ",".join(value for name, value in pairs if name == _TRACESTATE)
    return headers


def _naming(call: Call, message: Any) -> Any:
    """The message; its own `request_id`, if it has one, names the call instead of the header's."""
    call.take_id(getattr(message, "request_id", ""))
    return message


def _unchanged(message: Any) -> Any:
    return message


async def _send(message: Any, context: Context, seconds: float) -> None:
    """Send the message. Raises _ClientGone if that fails or the client does not read it in time."""
    try:
        async with asyncio.timeout(max(seconds, _MIN_SEND_SECONDS)):
            await context.write(message)
    except Exception as error:
        raise _ClientGone from error
