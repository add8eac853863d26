"""Log lines as OTLP log records."""

import time
from collections.abc import Mapping
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import set_span_in_context

from rag_common import tracing
from rag_common.context import CALL
from rag_common.otlp.outbox import Outbox
from rag_common.otlp.recording import remote

_SEVERITY = {
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "critical": SeverityNumber.FATAL,
}
# These have fields of their own in a record.
_ELSEWHERE = frozenset({"event", "level", "timestamp", "trace_id", "service"})
_SCOPE = InstrumentationScope("rag")


class Lines:
    """A listener of the log that puts each line into the outbox."""

    def __init__(self, outbox: Outbox[ReadableLogRecord], resource: Resource) -> None:
        self._outbox = outbox
        self._resource = resource

    def __call__(self, line: Mapping[str, Any]) -> None:
        """Send it some time soon."""
        level = str(line.get("level", "info"))
        record = LogRecord(
            timestamp=time.time_ns(),
            context=_context(),
            severity_text=level.upper(),
            severity_number=_SEVERITY.get(level, SeverityNumber.INFO),
            body=str(line["event"]),
            attributes={k: _plain(v) for k, v in line.items() if k not in _ELSEWHERE},
            event_name=str(line["event"]),
        )
        self._outbox.put(ReadableLogRecord(record, self._resource, _SCOPE))


def _context() -> Context:
    """Where the line belongs: to the span that runs, else to the call's place in its caller's trace."""
    at, call = tracing.current(), CALL.get()
    if at.recording:
        return set_span_in_context(remote(at.position), Context())
    return set_span_in_context(remote(call.trace), Context()) if call else Context()


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) else str(value)
