"""Where traces are kept: Tempo, Jaeger, or the local store of `make run`, told apart by what they answer."""

import asyncio
import json
import time
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from rag_client.observed import jaeger, otlp
from rag_client.observed.fetching import Fetching, plain
from rag_client.observed.spans import NoTrace, Trace
from rag_client.observed.tree import forest

_SECONDS = 10.0
_PAUSE = 0.5
_SEARCH_SECONDS = 3.0
_TRAVEL_SECONDS = 15
_ID_DIGITS = 32
_SECOND, _MARGIN = 1_000_000_000, 60


class Source:
    """One place that answers `GET /api/traces/ID`."""

    def __init__(self, fetch: Fetching, url: str) -> None:
        self._fetch = fetch
        self._url = url.rstrip("/")

    async def trace(self, trace_id: str, *, wait: float) -> Trace:
        """The trace; what is missing is asked for again for `wait` seconds, unless it is long past.

        Raises NoTrace or Unreachable.
        """
        end = time.monotonic() + wait
        while True:
            found = await self.find(trace_id)
            if found and (_is_past(found) or not forest(found).orphans):
                return found
            if time.monotonic() + _PAUSE > end:
                break
            await asyncio.sleep(_PAUSE)
        if found is None:
            raise NoTrace(_nowhere(trace_id, plain(self._url), wait))
        return found

    async def linking(self, trace: Trace, most: int) -> list[str]:
        """Ids of other traces with a span that is linked with one of this trace.

        Tempo and the local store can be asked so; elsewhere none are found. Raises Unreachable.
        """
        start, end = _around(trace)
        query = urlencode(
            {
                "q": f'{{ link:traceID = "{trace.trace_id}" }}',
                "limit": most,
                "start": start,
                "end": end,
            }
        )
        reply = await self._fetch.get(f"{self._url}/api/search?{query}", timeout=_SEARCH_SECONDS)
        try:
            found = json.loads(reply.body)["traces"] if reply.status == 200 else ()
            ids = [str(item["traceID"]).lower().zfill(_ID_DIGITS) for item in found or ()]
        except (KeyError, TypeError, ValueError):
            return []
        return [other for other in ids if other != trace.trace_id][:most]

    async def find(self, trace_id: str) -> Trace | None:
        """What is there of the trace now; None where there is nothing. Raises NoTrace or Unreachable."""
        url = f"{self._url}/api/traces/{trace_id}"
        reply = await self._fetch.get(url, timeout=_SECONDS)
        if reply.status in (204, 404):
            return None
        if reply.status not in (200, 206):
            raise NoTrace(f"{plain(url)} answers {reply.status}, and no trace")
        try:
            found = _read(json.loads(reply.body), trace_id)
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            if isinstance(error, NoTrace):
                raise
            raise NoTrace(
                f"{plain(url)} answers with no trace of Tempo's or Jaeger's form"
            ) from error
        if reply.status == 206 and not found.partial:
            found = replace(found, partial="the store has not kept all of its spans")
        return found if found.spans else None


def _read(document: Any, trace_id: str) -> Trace:
    read = jaeger.read if "data" in document else otlp.read
    found = read(document, trace_id)
    return replace(found, spans=tuple(sorted(found.spans, key=lambda span: span.start)))


def _is_past(trace: Trace) -> bool:
    """Whether it ended so long ago that no more of its spans are on their way."""
    return time.time_ns() - max(span.end for span in trace.spans) > _TRAVEL_SECONDS * _SECOND


def _around(trace: Trace) -> tuple[int, int]:
    """From a minute before it to a minute after it, in seconds since 1970."""
    start = min(span.start for span in trace.spans)
    end = max(span.end for span in trace.spans)
    return max(0, start // _SECOND - _MARGIN), end // _SECOND + 1 + _MARGIN


def _nowhere(trace_id: str, url: str, waited: float) -> str:
    after = f" after {waited:g} s" if waited else ""
    return (
        f"no trace {trace_id} at {url}{after}. Was it sampled (its traceparent ends in 01)? Do the "
        "services export there (OTEL_EXPORTER_OTLP_ENDPOINT; rag_telemetry_dropped_total counts "
        "what was lost)? Is it too old to be kept? Spans travel for some seconds: --wait 30"
    )
