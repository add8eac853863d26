"""Tempo's queries: which trace, and which traces of a list."""

import re
import shlex
from collections.abc import Callable, Mapping

from opentelemetry.proto.trace.v1.trace_pb2 import Status, TracesData

from rag_local.traces.kept import Choice, Summary, attributes_of
from rag_local.traces.wire import Malformed

_MOST, _USUAL = 1_000, 20
_ID_DIGITS = 32
_LINKED = re.compile(r'\{\s*link:traceID\s*=\s*"([^"]*)"\s*\}')


def trace_id(written: str) -> bytes:
    """The id in a path; as with Tempo, leading zeros may be missing. Raises Malformed."""
    if not 0 < len(written) <= _ID_DIGITS:
        raise Malformed("a trace id has 32 hexadecimal digits")
    try:
        return bytes.fromhex(written.zfill(_ID_DIGITS))
    except ValueError as error:
        raise Malformed("a trace id has 32 hexadecimal digits") from error


def most(query: Mapping[str, str]) -> int:
    """How many traces are wanted at most. Raises Malformed."""
    wanted = _number(query, "limit", _USUAL)
    if wanted < 1:
        raise Malformed("limit: 1 or more")
    return min(wanted, _MOST)


def choice(query: Mapping[str, str]) -> Choice:
    """Which traces a search wants: by `tags` as in logfmt, `start` and `end` in seconds.

    Of TraceQL one sentence is known, `{ link:traceID = "..." }`: which spans are linked with that
    trace. Raises Malformed.
    """
    linked = _linked(query.get("q", ""))
    wanted = _tags(query.get("tags", ""))
    start, end = _number(query, "start", 0), _number(query, "end", 0)

    def fits(summary: Summary, data: Callable[[], TracesData]) -> bool:
        seconds = summary.start / 1e9
        in_time = start <= seconds and (not end or seconds <= end)
        if not in_time or (linked and not _links(data(), linked)):
            return False
        return not wanted or _has(data(), wanted)

    return fits


def _has(data: TracesData, wanted: Mapping[str, str]) -> bool:
    """Whether one span has them all."""
    left = dict(wanted)
    error, name = left.pop("error", None), left.pop("name", None)
    spans = [span for g in data.resource_spans for s in g.scope_spans for span in s.spans]
    for span, attributes in zip(spans, attributes_of(data), strict=True):
        failed = str(span.status.code == Status.STATUS_CODE_ERROR).lower()
        named = name is None or name == span.name
        if named and error in (None, failed) and left.items() <= attributes.items():
            return True
    return False


def _links(data: TracesData, linked: bytes) -> bool:
    spans = (span for g in data.resource_spans for s in g.scope_spans for span in s.spans)
    return any(link.trace_id == linked for span in spans for link in span.links)


def _linked(query: str) -> bytes | None:
    if not query:
        return None
    found = _LINKED.fullmatch(query.strip())
    if not found:
        raise Malformed('of TraceQL only { link:traceID = "..." } is known here; search by tags')
    return trace_id(found[1])


def _tags(text: str) -> dict[str, str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise Malformed("tags: name=value, parted by spaces, quoted where they hold one") from error
    pairs = [word.partition("=") for word in words]
    if not all(name and sign for name, sign, _ in pairs):
        raise Malformed("tags: name=value, parted by spaces")
    return {name: value for name, _, value in pairs}


def _number(query: Mapping[str, str], name: str, usual: int) -> int:
    try:
        return int(query.get(name) or usual)
    except ValueError as error:
        raise Malformed(f"{name}: a whole number") from error
