"""Telemetry: nothing where no endpoint is set, and what reaches a receiver of OTLP where one is."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import grpc
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from rag_common import errors, logs, telemetry, tracing
from rag_common.context import Principal, Trace
from rag_common.settings import SettingsInvalid
from rag_common.telemetry import Telemetry
from tests.receiver import Receiver, attributes, by_grpc, by_http
from tests.rpc import NAME, Act, Held, Served, method, peer, same, served
from tests.waiting import until

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = ("traceparent", f"00-{TRACE}-{PARENT}-01")
ENDPOINT, PROTOCOL = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"


@pytest.fixture(params=["grpc", "http/protobuf"])
def receiver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with (by_grpc if request.param == "grpc" else by_http)() as receiving:
        monkeypatch.setenv(ENDPOINT, receiving.url)
        monkeypatch.setenv(PROTOCOL, request.param)
        yield receiving


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An endpoint that takes connections and never says a word."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(1)
        monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{deaf.getsockname()[1]}")
        yield


@asynccontextmanager
async def traced(act: Act = same) -> AsyncIterator[Served]:
    """A service whose spans are sent when this is left."""
    tracing_ = telemetry.configure("front", "1")
    async with served(act, telemetry=tracing_) as service:
        yield service
    tracing_.close()


async def hop(act: Act = same) -> None:
    """A call over two services, each with its own telemetry, which is sent when this returns."""
    front, back = telemetry.configure("front", "1"), telemetry.configure("back", "1")
    async with (
        served(act, telemetry=back) as behind,
        peer(behind.ports.grpc, telemetry=front) as echo,
    ):

        async def pass_on(text: str) -> str:
            return str(await echo.unary(method(echo.channel), text))

        async with served(pass_on, telemetry=front) as service:
            try:
                await service.call(metadata=[TRACEPARENT])
            except grpc.aio.AioRpcError:
                assert act is not same
    front.close()
    back.close()


async def test_one_trace_spans_two_hops(receiver: Receiver) -> None:
    await hop()
    [client, outer] = receiver.spans("rag-front")
    [inner] = receiver.spans("rag-back")
    assert {span.trace_id.hex() for span in (client, outer, inner)} == {TRACE}
    parents = [span.parent_span_id.hex() for span in (outer, client, inner)]
    assert parents == [PARENT, outer.span_id.hex(), client.span_id.hex()]


async def test_spans_are_named_by_what_is_called(receiver: Receiver) -> None:
    await hop()
    [client, outer] = receiver.spans("rag-front")
    assert (outer.name, outer.kind) == (f"{NAME}/One", Span.SPAN_KIND_SERVER)
    assert (client.name, client.kind) == (f"{NAME}/One", Span.SPAN_KIND_CLIENT)


async def test_spans_speak_the_conventions_for_rpc(receiver: Receiver) -> None:
    await hop()
    for span in receiver.spans("rag-front"):
        found = attributes(span)
        assert found["rpc.system.name"] == "grpc"
        assert found["rpc.method"] == f"{NAME}/One"
        assert found["rpc.response.status_code"] == "OK"


async def test_a_call_that_went_well_has_no_error(receiver: Receiver) -> None:
    await hop()
    spans = receiver.spans("rag-front") + receiver.spans("rag-back")
    assert {span.status.code for span in spans} == {Status.STATUS_CODE_UNSET}


@pytest.mark.parametrize("error", [ValueError("hunter2"), errors.Overloaded("hunter2")])
async def test_a_fault_of_the_server_marks_every_span_and_leaves_no_text(
    receiver: Receiver, error: Exception
) -> None:
    async def act(_text: str) -> str:
        raise error

    await hop(act)
    spans = receiver.spans("rag-front") + receiver.spans("rag-back")
    assert [span.status.code for span in spans] == [Status.STATUS_CODE_ERROR] * 3
    assert b"hunter2" not in receiver.bytes()


async def test_a_mistake_of_the_caller_is_an_error_of_the_client_s_span_alone(
    receiver: Receiver,
) -> None:
    async def act(_text: str) -> str:
        raise errors.NotFound("hunter2")

    await hop(act)
    [client, outer] = receiver.spans("rag-front")
    assert client.status.code == Status.STATUS_CODE_ERROR
    assert outer.status.code == Status.STATUS_CODE_UNSET
    assert attributes(outer)["error.type"] == errors.NotFound.reason
    assert b"hunter2" not in receiver.bytes()


@pytest.mark.parametrize("kind", ["One", "Many", "Gather", "Converse"])
async def test_a_cancelled_call_closes_its_span_and_says_so(receiver: Receiver, kind: str) -> None:
    held = Held()
    async with traced(held) as service:
        call = asyncio.create_task(service.call(kind))
        await held.begun.wait()
        call.cancel()
        await held.cancelled.wait()
    [span] = receiver.spans("rag-front")
    assert attributes(span)["rpc.response.status_code"] == "CANCELLED"


async def test_a_stream_is_one_span(receiver: Receiver) -> None:
    async with traced() as service:
        await service.call("Converse")
    [span] = receiver.spans("rag-front")
    assert span.name == f"{NAME}/Converse"


async def test_who_calls_is_found_out_in_a_span_of_its_own(receiver: Receiver) -> None:
    async def authenticate(_method: str, _metadata: dict[str, str]) -> Principal:
        return Principal("kim", "acme", frozenset())

    front = telemetry.configure("front", "1")
    async with served(telemetry=front, authenticate=authenticate) as service:
        await service.call()
    front.close()
    [auth, call] = receiver.spans("rag-front")
    assert auth.name == "auth"
    assert auth.parent_span_id == call.span_id
    assert attributes(call)["rag.tenant"] == "acme"
    assert b"kim" not in receiver.bytes()


async def test_a_method_that_a_caller_invents_names_no_span(receiver: Receiver) -> None:
    async with traced() as service:
        reply = method(service.channel, service="invented.Service")("x")
        with pytest.raises(grpc.aio.AioRpcError):
            await reply
    [span] = receiver.spans("rag-front")
    assert span.name == "_OTHER"


async def test_work_inside_a_call_makes_spans_below_it(receiver: Receiver) -> None:
    async def act(text: str) -> str:
        with tracing.span("outer"), tracing.span("inner", "client", {"db.system.name": "redis"}):
            return text

    async with traced(act) as service:
        await service.call()
    [inner, outer, call] = receiver.spans("rag-front")
    assert [inner.parent_span_id, outer.parent_span_id] == [outer.span_id, call.span_id]
    assert attributes(inner) == {"db.system.name": "redis"}


async def test_a_span_made_afterwards_has_the_times_it_is_given(receiver: Receiver) -> None:
    async def act(text: str) -> str:
        now = time.monotonic()
        at = tracing.current()
        at.child("queue", began=now - 2, links=[at]).end(now - 1)
        return text

    async with traced(act) as service:
        await service.call()
    [queue, call] = receiver.spans("rag-front")
    assert queue.end_time_unix_nano - queue.start_time_unix_nano == pytest.approx(1e9, rel=0.01)
    assert queue.links[0].span_id == call.span_id


async def test_work_that_no_call_asked_for_is_a_trace_of_its_own(receiver: Receiver) -> None:
    front = telemetry.configure("front", "1")
    with tracing.root("optimize"):
        pass
    front.close()
    [span] = receiver.spans("rag-front")
    assert (span.name, span.parent_span_id) == ("optimize", b"")


async def test_what_the_caller_does_not_sample_is_not_sent(receiver: Receiver) -> None:
    async with traced() as service:
        await service.call(metadata=[("traceparent", f"00-{TRACE}-{PARENT}-00")])
    assert not receiver.spans("rag-front")


async def test_a_share_of_traces_is_sampled_where_the_variables_say_so(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    async with traced() as service:
        for _ in range(64):
            await service.call()
    assert 0 < len(receiver.spans("rag-front")) < 64


async def test_log_lines_are_sent_with_their_trace(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "otlp")
    logs.configure("front")
    async with traced() as service:
        await service.call(metadata=[TRACEPARENT])
    [line] = [line for line in receiver.lines("rag-front") if line.event_name == "call"]
    assert line.trace_id.hex() == TRACE
    assert line.severity_text == "INFO"
    assert attributes(line)["method"] == f"/{NAME}/One"


async def test_metrics_are_sent_as_they_would_be_fetched(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "otlp")
    async with traced() as service:
        for _ in range(2):
            await service.call(metadata=[TRACEPARENT])
    found = {metric.name: metric for metric in receiver.metrics("rag-front")}
    [calls] = found["rag_rpc_server_duration_seconds"].histogram.data_points
    assert calls.count == sum(calls.bucket_counts) == 2
    assert len(calls.bucket_counts) == len(calls.explicit_bounds) + 1
    assert {exemplar.trace_id.hex() for exemplar in calls.exemplars} == {TRACE}
    assert found["rag_build_info"].gauge.data_points[0].as_double == 1
    assert found["rag_log_lines"].sum.is_monotonic


@pytest.mark.usefixtures("nobody")
async def test_a_receiver_that_is_silent_costs_calls_nothing_and_what_is_lost_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    front = telemetry.configure("front", "1")
    registry = front.metrics.registry
    async with served(telemetry=front) as service:
        async with asyncio.timeout(10):
            for _ in range(64):
                await service.call()
        full = {"signal": "traces", "reason": "full"}
        assert (registry.get_sample_value("rag_telemetry_dropped_total", full) or 0) >= 48
        assert registry.get_sample_value("rag_telemetry_queue", {"signal": "traces"}) == 8
        failed = {"signal": "traces", "reason": "failed"}
        await until(
            lambda: registry.get_sample_value("rag_telemetry_dropped_total", failed) or 0,
            "a batch is given up",
        )
    front.close()


async def test_what_arrived_is_counted(receiver: Receiver) -> None:
    front = telemetry.configure("front", "1")
    async with served(telemetry=front) as service:
        await service.call()
    front.close()
    exported = front.metrics.registry.get_sample_value(
        "rag_telemetry_exported_total", {"signal": "traces"}
    )
    assert exported == len(receiver.spans("rag-front")) == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        (PROTOCOL, "http/json"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0.5"),
        ("OTEL_BSP_SCHEDULE_DELAY", "inf"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.crt"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
    ],
)
@pytest.mark.usefixtures("nobody")
def test_a_variable_that_makes_no_sense_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    # What OpenTelemetry reads, it says in its own words.
    named = "OTEL_EXPORTER_OTLP" if variable.startswith("OTEL_EXPORTER") else variable
    with pytest.raises(SettingsInvalid, match=named):
        telemetry.configure("front", "1")


def test_the_sdk_can_be_switched_off(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with telemetry.configure("front", "1").serving("x", None, {}) as span:
        assert not span.recording
    assert not receiver.requests


def test_without_an_endpoint_the_callers_trace_is_handed_on() -> None:
    parent = Trace(TRACE, PARENT)
    with Telemetry().serving("x", parent, {}) as span:
        assert span.position == parent


def test_without_an_endpoint_and_a_caller_a_trace_is_begun() -> None:
    with Telemetry().serving("x", None, {}) as span:
        assert Trace.parse(span.position.traceparent) == span.position


def test_without_an_endpoint_nothing_of_the_sdk_is_loaded() -> None:
    program = (
        "import sys; import rag_common.rpc.server, rag_common.rpc.client; "
        "from rag_common import telemetry; "
        "tracing = telemetry.configure('shop', '1')\n"
        "with tracing.serving('x', None, {}): pass\n"
        "tracing.close()\n"
        "sys.exit('opentelemetry.sdk' in sys.modules or 'opentelemetry.exporter' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], env={}, check=False)
    assert done.returncode == 0


async def test_a_stream_to_another_service_is_nobody_s_parent(receiver: Receiver) -> None:
    front = telemetry.configure("front", "1")
    async with served() as behind, peer(behind.ports.grpc, telemetry=front) as echo:

        async def pass_on(text: str) -> str:
            replies = echo.stream(method(echo.channel, "Many"), text)
            first = str(await anext(replies))
            with tracing.span("beside"):
                pass
            await replies.aclose()  # type: ignore[attr-defined]
            with tracing.span("after"):
                return first

        async with served(pass_on, telemetry=front) as service:
            await service.call(text="one two")
    front.close()
    spans = {span.name: span for span in receiver.spans("rag-front")}
    call = spans[f"{NAME}/One"]
    assert {spans[name].parent_span_id for name in ("beside", "after", f"{NAME}/Many")} == {
        call.span_id
    }


async def test_a_span_that_cannot_be_encoded_takes_no_other_with_it(receiver: Receiver) -> None:
    async def act(text: str) -> str:
        with tracing.span("unfit") as span:
            span.set("rag.index", object())  # type: ignore[arg-type]
            span.set("rag.tier", "\ud800")
        with tracing.span("worse"):
            tracing.current().name = 7  # type: ignore[assignment]
        return text

    async with traced(act) as service:
        await service.call()
    assert {"unfit", f"{NAME}/One"} == {span.name for span in receiver.spans("rag-front")}


def test_what_others_call_a_reason_is_not_told() -> None:
    foreign = UnicodeDecodeError("utf-8", b"x", 0, 1, "hunter2")
    assert tracing.reason(foreign) == "UnicodeDecodeError"
    assert tracing.reason(errors.NotFound("hunter2")) == errors.NotFound.reason


async def test_a_line_of_a_call_that_is_not_recorded_names_its_caller_s_place(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "otlp")
    logs.configure("front")
    async with traced() as service:
        await service.call(metadata=[("traceparent", f"00-{TRACE}-{PARENT}-00")])
    [line] = [line for line in receiver.lines("rag-front") if line.event_name == "call"]
    assert line.trace_id.hex() == TRACE
    assert not line.flags & 1


async def test_metrics_that_cannot_be_read_once_are_sent_the_next_time(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "50")
    front = telemetry.configure("front", "1")
    looks = iter([ZeroDivisionError])

    def read() -> float:
        for error in looks:
            raise error
        return 7.0

    front.metrics.gauge("rag_broken", "Breaks once.", read=read)
    await until(lambda: receiver.metrics("rag-front"), "metrics come")
    failed = {"signal": "metrics", "reason": "failed"}
    assert front.metrics.registry.get_sample_value("rag_telemetry_dropped_total", failed)
    front.close()


async def test_metrics_sent_and_fetched_have_the_same_labels(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "otlp")
    async with traced():
        pass
    found = {metric.name: metric for metric in receiver.metrics("rag-front")}
    [point] = found["rag_build_info"].gauge.data_points
    assert attributes(point)["service"] == "front"
