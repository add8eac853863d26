"""The audit log: one event for every decision about who may do what, never with content or a credential."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum

import structlog

from rag_common import errors
from rag_common.context import CALL, Principal
from rag_gateway.flood import Flood

# Where the caller is, as the proxy in front says; empty where that is not known.
ADDRESS: ContextVar[str] = ContextVar("address", default="")

_MOST_TEXT = 256


class Event(StrEnum):
    """What is put on record."""

    AUTHENTICATION_REFUSED = "authentication_refused"
    AUTHORISATION_REFUSED = "authorisation_refused"
    REFUSALS_SUPPRESSED = "refusals_suppressed"
    KEY_CREATED = "api_key_created"
    KEYS_LISTED = "api_keys_listed"
    KEY_REVOKED = "api_key_revoked"
    TOKEN_ISSUED = "token_issued"  # noqa: S105
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    DOCUMENT_DELETED = "document_deleted"


class Outcome(StrEnum):
    """How it ended: done; refused to this caller; or failed, whoever had asked."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(slots=True)
class Deed:
    """Something that is being done; its target can be named once it is known."""

    target: str = ""


class Audit:
    """Writes to the log stream, whatever its level, and to `sink` where there is one.

    Of refusals for one reason, from one address and one tenant, at most `per_second` are written out;
    the others are counted.
    """

    def __init__(
        self,
        sink: Callable[[Mapping[str, str | int]], None] | None = None,
        *,
        per_second: int = 5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sink = sink
        self._flood = Flood(per_second, self._suppressed, clock)
        # What may be left out of a log by its level may not be left out of the audit.
        self._log = structlog.wrap_logger(
            None, wrapper_class=structlog.make_filtering_bound_logger(0)
        )

    @contextmanager
    def admitting(self, method: str) -> Iterator[None]:
        """Put on record that a caller is not let in: why, and nothing of what it showed."""
        try:
            yield
        except (errors.Unauthenticated, errors.PermissionDenied) as error:
            self._refused(Event.AUTHENTICATION_REFUSED, method, error, None)
            raise

    @contextmanager
    def authorising(
        self, method: str = "", principal: Principal | None = None, target: str = ""
    ) -> Iterator[None]:
        """Put on record that a known caller may not do this. The caller is by default the call's."""
        try:
            yield
        except errors.PermissionDenied as error:
            self._refused(Event.AUTHORISATION_REFUSED, method, error, principal, target)
            raise

    @contextmanager
    def doing(self, event: Event, method: str, target: str = "") -> Iterator[Deed]:
        """Put on record that this was done, or why not."""
        deed = Deed(target)
        outcome, reason = Outcome.FAILED, "INTERNAL"
        try:
            yield deed
            outcome, reason = Outcome.DONE, ""
        except errors.AppError as error:
            outcome, reason = _outcome(error), error.reason
            raise
        finally:
            self._write(event, method, deed.target, outcome, reason)

    def close(self) -> None:
        """Write the counts that have not been written."""
        self._flood.close()

    def _refused(
        self,
        event: Event,
        method: str,
        error: errors.AppError,
        principal: Principal | None,
        target: str = "",
    ) -> None:
        who = principal or _caller()
        tenant = who.tenant if who else ""
        kind = {"reason": error.reason, "address": ADDRESS.get(), "tenant": tenant}
        if self._flood.passes({name: value for name, value in kind.items() if value}):
            self._write(event, method, target, Outcome.REFUSED, error.reason, principal)

    def _suppressed(self, kind: Mapping[str, str], count: int) -> None:
        told: dict[str, str | int] = {"outcome": str(Outcome.REFUSED), **kind, "count": count}
        self._out(Event.REFUSALS_SUPPRESSED, told)

    def _write(
        self,
        event: Event,
        method: str,
        target: str,
        outcome: Outcome,
        reason: str,
        principal: Principal | None = None,
    ) -> None:
        call = CALL.get()
        who = principal or _caller()
        facts = {
            "outcome": str(outcome),
            "reason": reason,
            "method": method,
            "target": target[:_MOST_TEXT],
            "subject": who.subject if who else "",
            "tenant": who.tenant if who else "",
            "credential": who.credential if who else "",
            "address": ADDRESS.get(),
            "request_id": call.request_id if call else "",
            "trace_id": call.trace.trace_id if call else "",
        }
        self._out(event, {name: value for name, value in facts.items() if value})

    def _out(self, event: Event, facts: Mapping[str, str | int]) -> None:
        self._log.info(str(event), logger="audit", **facts)
        if self._sink:
            self._sink({"event": str(event), **facts})


def _caller() -> Principal | None:
    call = CALL.get()
    return call.principal if call else None


def _outcome(error: errors.AppError) -> Outcome:
    theirs = (errors.PermissionDenied, errors.InvalidArgument, errors.NotFound)
    return Outcome.REFUSED if isinstance(error, theirs) else Outcome.FAILED
