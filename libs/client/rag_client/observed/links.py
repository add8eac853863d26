"""Spans of other traces that a trace has to do with: the batch that a request was computed in."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from rag_client.observed.fetching import Unreachable
from rag_client.observed.sources import Source
from rag_client.observed.spans import NoTrace, Span, Trace
from rag_client.observed.words import counted, short

_MOST_TRACES = 3


@dataclass(frozen=True, slots=True)
class Linked:
    """A span of another trace, and the id of the span of this one that it is linked with."""

    by: str
    span: Span


async def linked(source: Source, trace: Trace) -> list[Linked]:
    """Spans that this trace's are linked with, whichever of the two says so.

    A span with many links, as a batch has, leads nowhere: its requests are not shown. What cannot
    be had is left out.
    """
    wanted = list(dict.fromkeys(other for span in trace.spans for other in _few(span)))
    with suppress(Unreachable):
        wanted += await source.linking(trace, _MOST_TRACES)
    found: dict[tuple[str, str], Linked] = {}
    for other_id in list(dict.fromkeys(wanted))[: 2 * _MOST_TRACES]:
        with suppress(NoTrace, Unreachable):
            if other := await source.find(other_id):
                found |= {(pair.by, pair.span.span_id): pair for pair in _pairs(trace, other)}
    return list(found.values())


def sentence(span: Span, names: Mapping[str, str]) -> str:
    """What the span is linked with: by name in its own trace, counted in others."""
    own = [link.span_id for link in span.links if link.trace_id == span.trace_id]
    here = [short(names.get(span_id, span_id)) for span_id in own]
    others = [link.trace_id for link in span.links if link.trace_id != span.trace_id]
    traces = list(dict.fromkeys(others))
    shown = ", ".join(traces[:2]) + (" ..." if len(traces) > 2 else "")
    apart = f"{counted(len(others), 'span')} of trace {shown}" if others else ""
    return "; ".join(filter(None, [", ".join(here), apart]))


def _few(span: Span) -> list[str]:
    others = [link.trace_id for link in span.links if link.trace_id != span.trace_id]
    return others if len(others) <= _MOST_TRACES else []


def _pairs(trace: Trace, other: Trace) -> Iterator[Linked]:
    own = {span.span_id for span in trace.spans}
    theirs = {span.span_id: span for span in other.spans}
    for span in trace.spans:
        for link in span.links:
            if link.trace_id == other.trace_id and link.span_id in theirs and _few(span):
                yield Linked(span.span_id, theirs[link.span_id])
    for span in other.spans:
        for link in span.links:
            if link.trace_id == trace.trace_id and link.span_id in own:
                yield Linked(link.span_id, span)
