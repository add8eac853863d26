"""One call while it is served: who calls, how long it may take, how it ended."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import structlog

from rag_common import errors, tracing
from rag_common.context import CALL, Call, Principal
from rag_common.rpc import status
from rag_common.rpc.callers import Callers
from rag_common.rpc.types import Context
from rag_common.tracing import CANCELLED, Span

log = structlog.get_logger()

Metadata = dict[str, str]

# What counts as the server's own failure in a server's span: OpenTelemetry's conventions for gRPC.
_FAULTS = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)


class Authenticate(Protocol):
    """Says who is calling. Raises Unauthenticated or PermissionDenied."""

    async def __call__(self, method: str, metadata: Metadata) -> Principal: ...


class Allow(Protocol):
    """Holds what a call uses up while it is served. Entering raises ResourceExhausted.

    `tier` names the caller's tier of limits, one of few.
    """

    def tier(self, principal: Principal) -> str: ...

    def __call__(
        self, method: str, principal: Principal, *, streams: bool
    ) -> AbstractAsyncContextManager[object]: ...


@dataclass(frozen=True, slots=True)
class Door:
    """What a caller must show: as a service, by its certificate, and as a person, by a credential."""

    callers: Callers | None
    authenticate: Authenticate | None
    allow: Allow | None


class Served:
    """A call from its admission to its line in the log."""

    def __init__(
        self,
        method: str,
        metadata: Metadata,
        call: Call,
        door: Door,
        check: Callable[[Call], None],
        span: Span,
    ) -> None:
        self.method = method
        self._metadata = metadata
        self._door = door
        self._check = check
        self._span = span
        self.call = call
        self.tier = ""
        self.outcome = "OK"
        self.reason = ""
        self._timer = asyncio.timeout(None)

    def timeout(self) -> asyncio.Timeout:
        """Ends what runs inside when the call's time is up."""
        self._timer = asyncio.timeout(max(self.call.remaining, 0))
        return self._timer

    async def admit(self, context: Context) -> None:
        """Return where the call may begin."""
        self._check(self.call)
        if self._door.callers:
            self._door.callers.check(self.method, context)
        if self._door.authenticate:
            with tracing.span("auth"):
                principal = await self._door.authenticate(self.method, self._metadata)
            self.call = replace(self.call, principal=principal, payer=principal.tenant)
            self.tier = self._door.allow.tier(principal) if self._door.allow else ""
            CALL.set(self.call)

    @asynccontextmanager
    async def allowed(self, *, streams: bool) -> AsyncIterator[None]:
        """Be served inside of what the caller may use. Raises ResourceExhausted."""
        principal = self.call.principal
        if not self._door.allow or principal is None:
            yield
            return
        async with AsyncExitStack() as stack:
            with tracing.span("limits", attributes={"rag.tier": self.tier}):
                holding = self._door.allow(self.method, principal, streams=streams)
                await stack.enter_async_context(holding)
            yield

    def failure(self, error: Exception) -> errors.AppError:
        """What the caller is told: the error where it is one of ours, and nothing of it where not."""
        if isinstance(error, TimeoutError) and self._timer.expired():
            error = errors.DeadlineExceeded(
                "the time for this call is used up", metadata={"stage": "total"}
            )
        if not isinstance(error, errors.AppError):
            log.error("unexpected_error", method=self.method, exc_info=error)
            error = errors.Internal("internal error")
        self.outcome, self.reason = status.code(error).name, error.reason
        return error

    async def abort(self, context: Context, failure: errors.AppError) -> Any:
        """End the call with the failure."""
        # The handler may have named the call anew.
        trailers: Any = status.trailers(failure, CALL.get() or self.call)
        return await context.abort(status.code(failure), status.message(failure), trailers)

    def cancelled(self) -> None:
        """Note that whoever called has gone, or did not wait."""
        self.outcome = CANCELLED

    def report(self) -> None:
        """Write the call's one line, and tell its span how it ended."""
        milliseconds = round((time.monotonic() - self.call.started) * 1000, 2)
        facts = {"reason": self.reason} if self.reason else {}
        log.info("call", method=self.method, code=self.outcome, ms=milliseconds, **facts)
        if self._span.recording:
            self._tell(self._span)

    def _tell(self, span: Span) -> None:
        # The handler may have named the call anew.
        call = CALL.get() or self.call
        span.set("rag.request_id", call.request_id)
        if call.principal:
            span.set("rag.tenant", call.principal.tenant)
        span.set("rpc.response.status_code", self.outcome)
        if self.outcome in _FAULTS:
            span.fail(self.reason)
        elif self.outcome != "OK":
            span.set("error.type", self.reason or self.outcome)
