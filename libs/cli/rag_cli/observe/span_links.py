"""Spans of other traces that are linked with a trace, such as the batch that computed a request."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from rag_cli.observe.http_client import Unreachable
from rag_cli.observe.sources import TraceStore
from rag_cli.observe.spans import NoTrace, Span, Trace
from rag_cli.observe.text import pluralize, short_name

_MAX_TRACES = 3


@dataclass(frozen=True, slots=True)
class LinkedSpan:
    """A span of another trace; `by` is the id of the span of this trace that it is linked with."""

    by: str
    span: Span


async def linked_spans(store: TraceStore, trace: Trace) -> list[LinkedSpan]:
    """Spans of other traces that link to a span of this trace, or that one of its spans links to.

    A span with many links, such as a batch, is not followed. Traces that cannot be read are omitted.
    """
    trace_ids = list(
        dict.fromkeys(other for span in trace.spans for other in _linked_trace_ids(span))
    )
    with suppress(Unreachable):
        trace_ids += await store.linked_trace_ids(trace, _MAX_TRACES)
    result: dict[tuple[str, str], LinkedSpan] = {}
    for other_id in list(dict.fromkeys(trace_ids))[: 2 * _MAX_TRACES]:
        with suppress(NoTrace, Unreachable):
            if other := await store.find(other_id):
                result |= {(pair.by, pair.span.span_id): pair for pair in _pairs(trace, other)}
    return list(result.values())


def describe_links(span: Span, names: Mapping[str, str]) -> str:
    """The links of a span as text: names in its own trace, a count for others."""
    own = [link.span_id for link in span.links if link.trace_id == span.trace_id]
    names_here = [short_name(names.get(span_id, span_id)) for span_id in own]
    others = [link.trace_id for link in span.links if link.trace_id != span.trace_id]
    traces = list(dict.fromkeys(others))
    shown = ", ".join(traces[:2]) + (" ..." if len(traces) > 2 else "")
    elsewhere = f"{pluralize(len(others), 'span')} of trace {shown}" if others else ""
    return "; ".join(filter(None, [", ".join(names_here), elsewhere]))


def _linked_trace_ids(span: Span) -> list[str]:
    others = [link.trace_id for link in span.links if link.trace_id != span.trace_id]
    return others if len(others) <= _MAX_TRACES else []


def _pairs(trace: Trace, other: Trace) -> Iterator[LinkedSpan]:
    own = {span.span_id for span in trace.spans}
    theirs = {span.span_id: span for span in other.spans}
    for span in trace.spans:
        for link in span.links:
            if (
                link.trace_id == other.trace_id
                and link.span_id in theirs
                and _linked_trace_ids(span)
            ):
                yield LinkedSpan(span.span_id, theirs[link.span_id])
    for span in other.spans:
        for link in span.links:
            if link.trace_id == trace.trace_id and link.span_id in own:
                yield LinkedSpan(link.span_id, span)
