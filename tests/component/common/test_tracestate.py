"""The W3C headers `traceparent` and `tracestate`: over which hops they go, and what is dropped."""

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanContext

from rag_common.observability import setup, tracing
from tests.support.common.acts import Seen
from tests.support.common.fixtures import PARENT, TRACE, TRACEPARENT, hop
from tests.support.receiver import Receiver
from tests.support.rpc import KINDS, served

STATE = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE,tenant0@vendor=a:b/c d!"
LONG = ",".join(f"k{n}={'v' * 100}" for n in range(9))


async def arriving(kind: str = "One", *headers: tuple[str, str]) -> SpanContext:
    """The position in a trace that a call with these headers has at the second service."""
    observed = Seen()
    await hop(observed, kind, headers)
    [position] = observed.positions
    return position


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sampled", ["00", "01"])
async def test_it_arrives_at_the_last_hop_whether_spans_are_recorded_or_not(
    kind: str, sampled: str
) -> None:
    traceparent = f"00-{TRACE}-{PARENT}-{sampled}"
    arrived = await arriving(kind, ("traceparent", traceparent), ("tracestate", STATE))
    assert trace.format_trace_id(arrived.trace_id) == TRACE
    assert arrived.trace_state.to_header() == STATE


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a=1", "b=2,c=3"], "a=1,b=2,c=3"),
        (["A=malformed"], ""),
        # A longer one than the 512 characters that everybody passes on, up to 8192, is passed on too.
        ([LONG], LONG),
        (["a=1,a=2"], ""),
        ([], ""),
    ],
)
async def test_it_is_combined_or_dropped_and_the_trace_goes_on(
    values: list[str], expected: str
) -> None:
    arrived = await arriving("One", TRACEPARENT, *(("tracestate", value) for value in values))
    assert trace.format_trace_id(arrived.trace_id) == TRACE
    assert arrived.trace_state.to_header() == expected


async def test_without_a_fit_traceparent_it_is_nobody_s() -> None:
    arrived = await arriving("One", ("traceparent", "00-garbage"), ("tracestate", STATE))
    assert not arrived.trace_state
    assert trace.format_trace_id(arrived.trace_id) != TRACE


async def test_every_span_has_it_if_spans_are_exported(receiver: Receiver) -> None:
    await hop(metadata=[TRACEPARENT, ("tracestate", STATE)])
    spans = receiver.spans("rag-front") + receiver.spans("rag-back")
    assert [span.trace_state for span in spans] == [STATE] * 3


async def test_a_link_is_sent_without_it_for_no_collector_redacts_links(receiver: Receiver) -> None:
    async def act(text: str) -> str:
        tracing.start_span("queue", links=[trace.get_current_span()]).end()
        return text

    front = setup.configure("front", "1")
    async with served(act, telemetry=front) as service:
        await service.call(metadata=[TRACEPARENT, ("tracestate", STATE)])
    front.close()
    queue = receiver.spans("rag-front")[0]
    assert (queue.trace_state, [link.trace_state for link in queue.links]) == (STATE, [""])
