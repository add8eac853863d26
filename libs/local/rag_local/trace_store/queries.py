"""Parsing of the parameters of Tempo's query API."""

import re
import shlex
from collections.abc import Callable, Mapping

from opentelemetry.proto.trace.v1.trace_pb2 import Status, TracesData

from rag_local.trace_store.codec import Malformed
from rag_local.trace_store.memory import Summary, TraceFilter, attributes_of

_MAX_LIMIT, _DEFAULT_LIMIT = 1_000, 20
_ID_DIGITS = 32
_LINKED = re.compile(r'\{\s*link:traceID\s*=\s*"([^"]*)"\s*\}')


def trace_id(text: str) -> bytes:
    """The id in a path; as in Tempo, leading zeros may be missing. Raises Malformed."""
    if not 0 < len(text) <= _ID_DIGITS:
        raise Malformed("a trace id has 32 hexadecimal digits")
    try:
        return bytes.fromhex(text.zfill(_ID_DIGITS))
    except ValueError as error:
        raise Malformed("a trace id has 32 hexadecimal digits") from error


def limit(query: Mapping[str, str]) -> int:
    """The maximum number of traces. Raises Malformed."""
    number = _number(query, "limit", _DEFAULT_LIMIT)
    if number < 1:
        raise Malformed("limit must be at least 1")
    return min(number, _MAX_LIMIT)


def trace_filter(query: Mapping[str, str]) -> TraceFilter:
    """The filter of a search: by `tags` as in logfmt, `start` and `end` in seconds.

    Of TraceQL one query is supported, `{ link:traceID = "..." }`: traces with a span that links to that
    trace. Raises Malformed.
    """
    linked = _linked(query.get("q", ""))
    tags = _tags(query.get("tags", ""))
    start, end = _number(query, "start", 0), _number(query, "end", 0)

    def fits(summary: Summary, data: Callable[[], TracesData]) -> bool:
        seconds = summary.start / 1e9
        in_time = start <= seconds and (not end or seconds <= end)
        if not in_time or (linked and not _links(data(), linked)):
            return False
        return not tags or _has(data(), tags)

    return fits


def _has(data: TracesData, tags: Mapping[str, str]) -> bool:
    """Whether one span has all the tags."""
    left = dict(tags)
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
    match = _LINKED.fullmatch(query.strip())
    if not match:
        raise Malformed('the only supported TraceQL is { link:traceID = "..." }; search by tags')
    return trace_id(match[1])


def _tags(text: str) -> dict[str, str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise Malformed(
            "tags must be name=value, separated by spaces, with values that contain spaces in quotes"
        ) from error
    pairs = [word.partition("=") for word in words]
    if not all(name and sign for name, sign, _ in pairs):
        raise Malformed("tags must be name=value, separated by spaces")
    return {name: value for name, _, value in pairs}


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    try:
        return int(query.get(name) or default)
    except ValueError as error:
        raise Malformed(f"{name} must be an integer") from error
