"""The audit log: one event per access decision and administrative action, without content or credentials."""

import json
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Self

import structlog

from rag_common.context import CALL, Principal
from rag_contract import errors
from rag_gateway.auth.log_sampling import LogSampler

log = structlog.get_logger()
# The caller's address, as the proxy in front passes it; empty if it is unknown.
ADDRESS: ContextVar[str] = ContextVar("address", default="")

# Characters of a target. The longest collection name, a slash and the longest document id have 577.
_MAX_TARGET = 640


@dataclass(slots=True)
class AuditLogFile:
    """A file of JSON lines, opened by entering the context manager."""

    path: Path
    _handle: int = field(default=-1, init=False)
    _failing: bool = field(default=False, init=False)

    def __enter__(self) -> Self:
        """Open the file. Raises OSError if it cannot be opened, or is not a regular file."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._handle = os.open(self.path, flags, 0o600)
        if not stat.S_ISREG(os.fstat(self._handle).st_mode):
            os.close(self._handle)
            raise OSError(f"{self.path} is not a regular file")
        os.fchmod(self._handle, 0o600)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)

    def write(self, fields: Mapping[str, str | int]) -> None:
        """Append a line. A full disk fails no call: the log stream has the event too."""
        line = {"timestamp": datetime.now(UTC).isoformat(), **fields}
        try:
            os.write(self._handle, (json.dumps(line, ensure_ascii=False) + "\n").encode())
        except OSError as error:
            if not self._failing:
                log.error("audit_file_unwritable", error=type(error).__name__)
            self._failing = True
        else:
            self._failing = False


class Event(StrEnum):
    """The kinds of audit events."""

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
    """How an action ended: done; refused to this caller; or failed for a reason unrelated to the caller."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(slots=True)
class AuditedAction:
    """An action in progress; set `target` as soon as it is known."""

    target: str = ""


class Audit:
    """Writes events to the log stream, at any log level, and to `sink` if there is one.

    At most `per_second` refusals with the same reason, address and tenant are written; the others are
    counted.
    """

    def __init__(
        self,
        sink: Callable[[Mapping[str, str | int]], None] | None = None,
        *,
        per_second: int = 5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sink = sink
        self._sampler = LogSampler(per_second, self._suppressed, clock)
        # The log level must not suppress audit events.
        self._log = structlog.wrap_logger(
            None, wrapper_class=structlog.make_filtering_bound_logger(0)
        )

    def authentication_refused(self, method: str, error: errors.AppError) -> None:
        """Audit a failed authentication with its reason, without the credential."""
        self._refused(Event.AUTHENTICATION_REFUSED, method, error, None)

    def authorisation_refused(
        self,
        error: errors.AppError,
        method: str = "",
        principal: Principal | None = None,
        target: str = "",
    ) -> None:
        """Audit a refused authorisation. `principal` defaults to the current call's caller."""
        self._refused(Event.AUTHORISATION_REFUSED, method, error, principal, target)

    @contextmanager
    def audited(self, event: Event, method: str, target: str = "") -> Iterator[AuditedAction]:
        """Audit the outcome of the block: done, or why not."""
        action = AuditedAction(target)
        outcome, reason = Outcome.FAILED, "INTERNAL"
        try:
            yield action
            outcome, reason = Outcome.DONE, ""
        except errors.AppError as error:
            outcome, reason = _outcome(error), error.reason
            raise
        finally:
            self._write(event, method, action.target, outcome, reason)

    def close(self) -> None:
        """Write the counts of suppressed refusals that have not been written."""
        self._sampler.close()

    def _refused(
        self,
        event: Event,
        method: str,
        error: errors.AppError,
        principal: Principal | None,
        target: str = "",
    ) -> None:
        by = principal or _caller()
        tenant = by.tenant if by else ""
        key = {"reason": error.reason, "address": ADDRESS.get(), "tenant": tenant}
        if self._sampler.allow({name: value for name, value in key.items() if value}):
            self._write(event, method, target, Outcome.REFUSED, error.reason, principal)

    def _suppressed(self, key: Mapping[str, str], count: int) -> None:
        fields: dict[str, str | int] = {"outcome": str(Outcome.REFUSED), **key, "count": count}
        self._emit(Event.REFUSALS_SUPPRESSED, fields)

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
        by = principal or _caller()
        fields = {
            "outcome": str(outcome),
            "reason": reason,
            "method": method,
            "target": target[:_MAX_TARGET],
            "subject": by.subject if by else "",
            "tenant": by.tenant if by else "",
            "credential": by.credential if by else "",
            "address": ADDRESS.get(),
            "request_id": call.request_id if call else "",
            "trace_id": call.trace_id if call else "",
        }
        self._emit(event, {name: value for name, value in fields.items() if value})

    def _emit(self, event: Event, fields: Mapping[str, str | int]) -> None:
        self._log.info(str(event), logger="audit", **fields)
        if self._sink:
            self._sink({"event": str(event), **fields})


def _caller() -> Principal | None:
    call = CALL.get()
    return call.principal if call else None


def _outcome(error: errors.AppError) -> Outcome:
    refusals = (errors.PermissionDenied, errors.InvalidArgument, errors.NotFound)
    return Outcome.REFUSED if isinstance(error, refusals) else Outcome.FAILED
