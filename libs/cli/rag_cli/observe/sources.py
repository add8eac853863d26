"""Trace stores: Tempo, Jaeger, or that of `make run`, distinguished by the format of their responses."""

import asyncio
import json
import re
import time
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from rag_cli.observe import jaeger, otlp
from rag_cli.observe.http_client import HttpClient, redact_url
from rag_cli.observe.spans import NoTrace, Trace
from rag_cli.observe.tree import forest

_SECONDS = 10.0
_PAUSE = 0.5
_SEARCH_SECONDS = 3.0
_TRAVEL_SECONDS = 15
_ID_DIGITS = 32
_SECOND, _MARGIN = 1_000_000_000, 60


class TraceStore:
    """A store that serves `GET /api/traces/ID`."""

    def __init__(self, client: HttpClient, url: str) -> None:
        self._client = client
        self._url = url.rstrip("/")

    async def trace(self, trace_id: str, *, wait: float) -> Trace:
        """Read a trace; if it is missing or incomplete, retry for `wait` seconds, unless it is old.

        Raises NoTrace or Unreachable.
        """
        end = time.monotonic() + wait
        while True:
            trace = await self.find(trace_id)
            if trace and (_is_past(trace) or not forest(trace).orphans):
                return trace
            if time.monotonic() + _PAUSE > end:
                break
            await asyncio.sleep(_PAUSE)
        if trace is None:
            raise NoTrace(_not_found_message(trace_id, redact_url(self._url), wait))
        return trace

    async def linked_trace_ids(self, trace: Trace, limit: int) -> list[str]:
        """Ids of other traces with a span that links to a span of this trace.

        Only Tempo and the local store support this query. Raises Unreachable.
        """
        start, end = _search_window(trace)
        query = urlencode(
            {
                "q": f'{{ link:traceID = "{trace.trace_id}" }}',
                "limit": limit,
                "start": start,
                "end": end,
            }
        )
        reply = await self._client.get(f"{self._url}/api/search?{query}", timeout=_SEARCH_SECONDS)
        try:
            traces = json.loads(reply.body)["traces"] if reply.status == 200 else ()
            ids = [str(item["traceID"]).lower().zfill(_ID_DIGITS) for item in traces or ()]
        except (KeyError, TypeError, ValueError):
            return []
        return [other for other in ids if other != trace.trace_id][:limit]

    async def find(self, trace_id: str) -> Trace | None:
        """The trace as it is stored now; None if there is none. Raises NoTrace or Unreachable."""
        url = f"{self._url}/api/traces/{trace_id}"
        reply = await self._client.get(url, timeout=_SECONDS)
        if reply.status in (204, 404):
            return None
        if reply.status not in (200, 206):
            raise NoTrace(f"{redact_url(url)} answers {reply.status} instead of a trace")
        try:
            trace = _read(json.loads(reply.body), trace_id)
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            if isinstance(error, NoTrace):
                raise
            raise NoTrace(
                f"{redact_url(url)} answers, but not with a trace in Tempo's or Jaeger's format"
            ) from error
        if reply.status == 206 and not trace.partial:
            trace = replace(trace, partial="the store lacks some of its spans")
        return trace if trace.spans else None


def _read(document: Any, trace_id: str) -> Trace:
    read = jaeger.read if "data" in document else otlp.read
    trace = read(document, trace_id)
    return replace(trace, spans=tuple(sorted(trace.spans, key=lambda span: span.start)))


def _is_past(trace: Trace) -> bool:
    """Whether it ended so long ago that no more of its spans will arrive."""
    return time.time_ns() - max(span.end for span in trace.spans) > _TRAVEL_SECONDS * _SECOND


def _search_window(trace: Trace) -> tuple[int, int]:
    """The time from one minute before the trace to one minute after it, in seconds since 1970."""
    start = min(span.start for span in trace.spans)
    end = max(span.end for span in trace.spans)
    return max(0, start // _SECOND - _MARGIN), end // _SECOND + 1 + _MARGIN


def _not_found_message(trace_id: str, url: str, waited: float) -> str:
    after = f" after {waited:g} s" if waited else ""
    return (
        f"no trace {trace_id} at {url}{after}. Was it sampled (its traceparent ends in 01)? Do the "
        "services export to it (OTEL_EXPORTER_OTLP_ENDPOINT; rag_telemetry_dropped_total counts "
        "lost spans)? Is it older than the retention? Spans arrive after some seconds: --wait 30"
    )


_TRACE = re.compile(r"[0-9a-f]{32}")
_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")


def parse_trace_id(text: str) -> str:
    """The 32 digits of an id (any case, with or without dashes) or of a traceparent. Raises ValueError."""
    normalized = text.strip().lower().removeprefix("traceparent:").strip()
    parent = _PARENT.fullmatch(normalized)
    digits = parent[1] if parent else normalized.replace("-", "")
    if not _TRACE.fullmatch(digits):
        raise ValueError(
            f"{text!r} is not a trace id: 32 hexadecimal digits, or a traceparent 00-…-…-01"
        )
    if not digits.strip("0"):
        raise ValueError("a trace id of zeros only is invalid")
    return digits
