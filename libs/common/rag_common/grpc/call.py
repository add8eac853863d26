"""A call while it is served: its admission, its caller, its deadline, its status."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Protocol

import structlog
from opentelemetry.trace import Span

from rag_common.context import Call, Principal
from rag_common.grpc.types import Context
from rag_common.observability import tracing
from rag_common.observability.tracing import CANCELLED
from rag_common.security.peer_identity import CallerPolicy
from rag_contract import errors, status

log = structlog.get_logger()

Metadata = dict[str, str]

# A tenant that is alone may use all but one eighth, so that another tenant's first call is admitted.
_RESERVE_DIVISOR = 8
_RETRY_SECONDS = 0.5

# Statuses that make a server span an error: OpenTelemetry's semantic conventions for gRPC.
_FAULTS = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)


def date() -> tuple[str, str]:
    """The server's `date` header as in HTTP (RFC 9110, 6.6.1), in whole seconds."""
    return "date", formatdate(usegmt=True)


class Authenticate(Protocol):
    """Identifies the caller by its credential. Raises Unauthenticated or PermissionDenied."""

    async def __call__(self, method: str, metadata: Metadata) -> Principal: ...


class CallLimiter(Protocol):
    """The quotas of callers. A handler reserves what its call costs in `Call.resources`.

    `tier` names the caller's tier of limits, one of a few. `count` charges one call that failed before
    its handler reserved anything, as an invalid request does. Raises ResourceExhausted.
    """

    def tier(self, principal: Principal) -> str: ...

    async def count(self, principal: Principal) -> None: ...


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """How callers are checked: services by certificate, users by credential, and their rate limits."""

    callers: CallerPolicy | None
    authenticate: Authenticate | None
    limiter: CallLimiter | None


class ServerCall:
    """A call from its admission to its log line.

    `admitted` is whether the caller has passed the access policy; `counted` whether the call is one
    of those in flight. `outcome` is the gRPC status code's name, `reason` the error's, empty for OK.
    """

    def __init__(
        self,
        method: str,
        metadata: Metadata,
        call: Call,
        policy: AccessPolicy,
        check: Callable[[Call], None],
        span: Span,
    ) -> None:
        self.method = method
        self._metadata = metadata
        self._policy = policy
        self._check = check
        self._span = span
        self.call = call
        self.tier = ""
        self.outcome = "OK"
        self.reason = ""
        self.admitted = False
        self.counted = True
        self._timer = asyncio.timeout(None)

    def timeout(self) -> asyncio.Timeout:
        """A timeout that ends the block at the call's deadline."""
        self._timer = asyncio.timeout(max(self.call.remaining, 0))
        return self._timer

    async def admit(self, context: Context) -> None:
        """Authenticate the caller. Raises if the call may not begin."""
        self._check(self.call)
        if self._policy.callers:
            self._policy.callers.check(self.method, context)
        if self._policy.authenticate:
            with tracing.span("auth"):
                principal = await self._policy.authenticate(self.method, self._metadata)
            self.call.principal, self.call.tenant = principal, principal.tenant
            self.tier = self._policy.limiter.tier(principal) if self._policy.limiter else ""
        self.admitted = True

    def require_reserved(self) -> None:
        """Raise RuntimeError if the handler has not admitted its call, which would be free of charge."""
        if self._is_unreserved():
            raise RuntimeError(f"the handler of {self.method} has not admitted its call")

    async def charge_refused(self) -> None:
        """Charge a call that failed before it reserved anything as one request. Raises ResourceExhausted."""
        if not self._is_unreserved():
            return
        if self._policy.limiter and self.call.principal:
            await self._policy.limiter.count(self.call.principal)

    def _is_unreserved(self) -> bool:
        has_limits = self._policy.limiter is not None and self.call.principal is not None
        return has_limits and not self.call.resources.reserved

    def failure(self, error: Exception) -> errors.AppError:
        """The error to send to the caller: an AppError as it is, any other as Internal without details."""
        if isinstance(error, TimeoutError) and self._timer.expired():
            error = errors.DeadlineExceeded(
                "the deadline of this call has passed", metadata={"stage": "total"}
            )
        if not isinstance(error, errors.AppError):
            log.error("unexpected_error", method=self.method, exc_info=error)
            error = errors.Internal("internal error")
        self.outcome, self.reason = status.code(error).name, error.reason
        return error

    def stray_cancellation(self, error: asyncio.CancelledError) -> errors.AppError:
        """The error to send to the caller for a cancellation that the handler itself caused.

        Re-raises `error` if the call itself is cancelled. If a stray one were propagated, the call
        would end without a status and its caller, who cancelled nothing, would see CANCELLED.
        """
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise error
        log.error("stray_cancellation", method=self.method, exc_info=error)
        return self.failure(errors.Internal("internal error"))

    async def abort(self, context: Context, failure: errors.AppError) -> Any:
        """End the call with the failure, and the server's date, as a wrong clock may invalidate a token."""
        trailers: Any = (*status.trailers(failure, self.call), date())
        return await context.abort(status.code(failure), status.message(failure), trailers)

    def cancelled(self) -> None:
        """Record that the caller cancelled or disconnected."""
        self.outcome = CANCELLED

    def report(self) -> None:
        """Write the call's log line and set its span's status."""
        milliseconds = round((time.monotonic() - self.call.started) * 1000, 2)
        facts = {"reason": self.reason} if self.reason else {}
        log.info("call", method=self.method, code=self.outcome, ms=milliseconds, **facts)
        if self._span.is_recording():
            self._annotate(self._span)

    def _annotate(self, span: Span) -> None:
        facts = {"rag.request_id": self.call.request_id, "rpc.response.status_code": self.outcome}
        if self.tier:
            facts["rag.tier"] = self.tier
        if self.call.principal:
            facts["rag.tenant"] = self.call.principal.tenant
        if self.outcome in _FAULTS:
            tracing.fail(span, self.reason)
        elif self.outcome != "OK":
            facts["error.type"] = self.reason or self.outcome
        span.set_attributes(facts)


class Admission:
    """At most `max_calls` calls at once; from half of that on, each tenant at most its equal share.

    There is no queue: a call over the limit is refused at once, with a retry delay.
    """

    def __init__(self, max_calls: int) -> None:
        self._max_calls = max_calls
        self._held: Counter[str] = Counter()
        self._total = 0

    def room(self, tenant: str) -> "Room":
        """A context that counts one call of the tenant. Entering it raises ResourceExhausted."""
        return Room(self, tenant)

    def enter(self, tenant: str) -> None:
        """Count one more call of the tenant. Raises ResourceExhausted."""
        if self._total >= self._max_calls or self._over_share(tenant):
            raise errors.ConcurrencyLimit(
                "too many calls at once",
                metadata={"subject": f"tenant:{tenant}" if tenant else "service"},
                retry_after=_RETRY_SECONDS,
            )
        self._held[tenant] += 1
        self._total += 1

    def leave(self, tenant: str) -> None:
        """Count one call of the tenant less."""
        self._total -= 1
        self._held[tenant] -= 1
        if not self._held[tenant]:
            del self._held[tenant]

    def _over_share(self, tenant: str) -> bool:
        if self._total * 2 < self._max_calls:
            return False
        tenants = len(self._held) + (tenant not in self._held)
        alone = self._max_calls - self._max_calls // _RESERVE_DIVISOR
        share = alone if tenants == 1 else max(1, self._max_calls // tenants)
        return self._held[tenant] >= share


class Room:
    """One call's room in the service, while the block runs."""

    __slots__ = ("_admission", "_tenant")

    def __init__(self, admission: Admission, tenant: str) -> None:
        self._admission = admission
        self._tenant = tenant

    def __enter__(self) -> None:
        self._admission.enter(self._tenant)

    def __exit__(self, *_: object) -> None:
        self._admission.leave(self._tenant)
