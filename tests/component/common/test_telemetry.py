"""Telemetry: nothing where no endpoint is set, and what reaches a receiver of OTLP where one is."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.trace import SpanKind

from rag_common.observability import logging, setup, tracing
from rag_common.observability.setup import Telemetry
from rag_common.settings import SettingsInvalid
from rag_contract import errors, status
from tests.support.common.acts import TOKEN, Door
from tests.support.common.fixtures import (
    ENDPOINT,
    PARENT,
    PROTOCOL,
    TRACE,
    TRACEPARENT,
    UNSAMPLED,
    hop,
)
from tests.support.receiver import Receiver, attributes
from tests.support.rpc import NAME, Act, Held, Served, method, peer, same, served
from tests.support.waiting import until

both_protocols = pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])


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
    tracing_ = setup.configure("front", "1")
    async with served(act, telemetry=tracing_) as service:
        yield service
    tracing_.close()


@both_protocols
async def test_a_call_over_two_services_is_one_trace_with_the_conventions_for_rpc(
    receiver: Receiver,
) -> None:
    await hop()
    [client, outer] = receiver.spans("rag-front")
    [inner] = receiver.spans("rag-back")
    spans = (outer, client, inner)
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    parents = [span.parent_span_id.hex() for span in spans]
    assert parents == [PARENT, outer.span_id.hex(), client.span_id.hex()]
    kinds = [Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_SERVER]
    assert [span.kind for span in spans] == kinds
    for span in spans:
        assert span.name == f"{NAME}/One"
        assert span.status.code == Status.STATUS_CODE_UNSET
        assert attributes(span).items() >= {
            ("rpc.system.name", "grpc"),
            ("rpc.method", f"{NAME}/One"),
            ("rpc.response.status_code", "OK"),
        }


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
        raise errors.DocumentNotFound("hunter2")

    await hop(act)
    [client, outer] = receiver.spans("rag-front")
    assert client.status.code == Status.STATUS_CODE_ERROR
    assert outer.status.code == Status.STATUS_CODE_UNSET
    assert attributes(outer)["error.type"] == errors.DocumentNotFound.reason
    assert b"hunter2" not in receiver.bytes()


@pytest.mark.parametrize(
    ("raised", "expected", "failed"),
    [
        (errors.DocumentNotFound, (errors.NotFound,), False),
        (errors.CollectionNotFound, (errors.NotFound,), False),
        (errors.NotConfigured, (errors.NotFound, errors.FailedPrecondition), False),
        (errors.DocumentNotFound, (errors.CollectionNotFound,), True),
        (errors.DocumentNotFound, (), True),
        (errors.DependencyDown, (errors.NotFound,), True),
    ],
)
async def test_an_error_that_is_expected_as_an_answer_does_not_mark_the_client_s_span(
    receiver: Receiver,
    raised: type[errors.AppError],
    expected: tuple[type[errors.AppError], ...],
    failed: bool,
) -> None:
    async def refuse(_text: str) -> str:
        raise raised("no")

    front = setup.configure("front", "1")
    async with served(refuse) as behind, peer(behind.ports.grpc, telemetry=front) as echo:

        async def ask(text: str) -> str:
            with pytest.raises(raised):
                await echo.unary(method(echo.channel), text, expected=expected)
            return text

        async with served(ask, telemetry=front) as service:
            await service.call()
    front.close()
    [client, server] = receiver.spans("rag-front")
    assert attributes(client)["rpc.response.status_code"] == status.code(raised("")).name
    assert (client.status.code == Status.STATUS_CODE_ERROR) == failed
    assert ("error.type" in attributes(client)) == failed
    assert server.status.code == Status.STATUS_CODE_UNSET


@pytest.mark.parametrize("kind", ["One", "Many", "Gather", "Converse"])
async def test_a_cancelled_call_closes_its_span_and_says_so(receiver: Receiver, kind: str) -> None:
    held = Held()
    async with traced(held) as service:
        call = asyncio.create_task(service.call(kind))
        await held.begun.wait()
        call.cancel()
        await held.cancelled.wait()
    [span] = receiver.spans("rag-front")
    assert span.name == f"{NAME}/{kind}"
    assert attributes(span)["rpc.response.status_code"] == "CANCELLED"


async def test_who_calls_is_found_out_in_a_span_of_its_own(receiver: Receiver) -> None:
    front = setup.configure("front", "1")
    async with served(telemetry=front, authenticate=Door()) as service:
        await service.call(metadata=TOKEN)
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
        with (
            tracing.span("outer"),
            tracing.span("inner", SpanKind.CLIENT, {"db.system.name": "redis"}),
        ):
            return text

    async with traced(act) as service:
        await service.call()
    [inner, outer, call] = receiver.spans("rag-front")
    assert [inner.parent_span_id, outer.parent_span_id] == [outer.span_id, call.span_id]
    assert attributes(inner) == {"db.system.name": "redis"}


async def test_a_span_made_afterwards_has_the_times_it_is_given(receiver: Receiver) -> None:
    async def act(text: str) -> str:
        now = time.monotonic()
        queue = tracing.start_span("queue", start=now - 2, links=[trace.get_current_span()])
        queue.end(tracing.nanoseconds(now - 1))
        return text

    async with traced(act) as service:
        await service.call()
    [queue, call] = receiver.spans("rag-front")
    assert queue.end_time_unix_nano - queue.start_time_unix_nano == pytest.approx(1e9, rel=0.01)
    assert queue.links[0].span_id == call.span_id


async def test_work_outside_of_a_call_is_a_trace_of_its_own_and_exported_spans_are_counted(
    receiver: Receiver,
) -> None:
    front = setup.configure("front", "1")
    with tracing.root("optimize"):
        pass
    front.close()
    [span] = receiver.spans("rag-front")
    assert (span.name, span.parent_span_id) == ("optimize", b"")
    registry = front.metrics.registry
    assert registry.get_sample_value("rag_telemetry_exported_total", {"signal": "traces"}) == 1


async def test_what_the_caller_does_not_sample_is_not_sent(receiver: Receiver) -> None:
    async with traced() as service:
        await service.call(metadata=[UNSAMPLED])
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


@both_protocols
@pytest.mark.parametrize("position", [TRACEPARENT, UNSAMPLED], ids=["sampled", "unsampled"])
async def test_log_lines_are_sent_with_their_trace(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, position: tuple[str, str]
) -> None:
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "otlp")
    logging.configure("front")
    async with traced() as service:
        await service.call(metadata=[position])
    [line] = [line for line in receiver.lines("rag-front") if line.event_name == "call"]
    assert line.trace_id.hex() == TRACE
    assert line.flags & 1 == (position is TRACEPARENT)
    assert line.severity_text == "INFO"
    assert attributes(line)["method"] == f"/{NAME}/One"


@both_protocols
async def test_metrics_are_sent_as_they_would_be_fetched(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "otlp")
    logging.configure("front")
    async with traced() as service:
        for _ in range(2):
            await service.call(metadata=[TRACEPARENT])
    sent = {metric.name: metric for metric in receiver.metrics("rag-front")}
    [calls] = sent["rag_rpc_server_duration_seconds"].histogram.data_points
    assert calls.count == sum(calls.bucket_counts) == 2
    assert len(calls.bucket_counts) == len(calls.explicit_bounds) + 1
    assert {exemplar.trace_id.hex() for exemplar in calls.exemplars} == {TRACE}
    [build] = sent["rag_build_info"].gauge.data_points
    assert build.as_double == 1
    assert attributes(build).items() >= {("service", "front"), ("version", "1")}
    assert sent["rag_log_lines"].sum.is_monotonic


async def test_the_region_is_in_traces_metrics_and_log_lines(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "otlp")
    logging.configure("front", form="json", region="eu-1")
    lines: list[Mapping[str, Any]] = []
    logging.listen(lines.append)
    front = setup.configure("front", "1", "eu-1")
    async with served(telemetry=front) as service:
        await service.call(metadata=[TRACEPARENT])
        page = (await front.metrics.pages()["/metrics"]()).body.decode()
    front.close()
    samples = [one for one in page.splitlines() if not one.startswith("#")]
    assert samples
    assert not [one for one in samples if 'region="eu-1"' not in one]
    assert receiver.resource("rag-front")["cloud.region"] == "eu-1"
    sent = receiver.metrics("rag-front")
    [build] = [one.gauge.data_points for one in sent if one.name == "rag_build_info"]
    assert attributes(build[0])["region"] == "eu-1"
    [line] = [line for line in receiver.lines("rag-front") if line.event_name == "call"]
    assert attributes(line)["region"] == "eu-1"
    assert {one["region"] for one in lines} == {"eu-1"}


async def test_without_a_region_nothing_says_one() -> None:
    logging.configure("front", form="json")
    lines: list[Mapping[str, Any]] = []
    logging.listen(lines.append)
    front = setup.configure("front", "1")
    async with served(telemetry=front) as service:
        await service.call()
        page = (await front.metrics.pages()["/metrics"]()).body.decode()
    assert lines
    assert not [one for one in lines if "region" in one]
    assert "region=" not in page


@pytest.mark.usefixtures("nobody")
async def test_a_receiver_that_is_silent_costs_calls_nothing_and_what_is_lost_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    front = setup.configure("front", "1")
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
        setup.configure("front", "1")


def test_the_sdk_can_be_switched_off(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with setup.configure("front", "1").serving("x", None, {}) as span:
        assert not span.is_recording()
    assert not receiver.requests


def test_without_an_endpoint_and_a_caller_a_trace_is_begun() -> None:
    with Telemetry().serving("x", None, {}) as span:
        position = span.get_span_context()
        assert position.is_valid
        assert position.trace_flags.sampled
    assert not trace.get_current_span().get_span_context().is_valid


def test_without_an_endpoint_nothing_of_the_sdk_is_loaded() -> None:
    program = (
        "import sys; import rag_common.grpc.bootstrap, rag_common.grpc.peer; "
        "from rag_common.observability import setup as telemetry; "
        "tracing = telemetry.configure('shop', '1')\n"
        "with tracing.serving('x', None, {}): pass\n"
        "tracing.close()\n"
        "sys.exit('opentelemetry.sdk' in sys.modules or 'opentelemetry.exporter' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], env={}, check=False)
    assert done.returncode == 0


async def test_a_stream_to_another_service_is_nobody_s_parent(receiver: Receiver) -> None:
    front = setup.configure("front", "1")
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
            span.set_attribute("rag.index", object())  # type: ignore[arg-type]
            span.set_attribute("rag.tier", "\ud800")
        with tracing.span("worse"):
            trace.get_current_span().update_name(7)  # type: ignore[arg-type]
        return text

    async with traced(act) as service:
        await service.call()
    assert {"unfit", f"{NAME}/One"} == {span.name for span in receiver.spans("rag-front")}


def test_what_others_call_a_reason_is_not_told() -> None:
    foreign = UnicodeDecodeError("utf-8", b"x", 0, 1, "hunter2")
    assert tracing.reason(foreign) == "UnicodeDecodeError"
    assert tracing.reason(errors.DocumentNotFound("hunter2")) == errors.DocumentNotFound.reason


async def test_metrics_that_cannot_be_read_once_are_sent_the_next_time(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "50")
    front = setup.configure("front", "1")
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


async def test_spans_are_sent_at_once_if_the_provider_is_flushed(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    front = setup.configure("front", "1")
    with front.serving("x", None, {}):
        pass
    assert front.tracer_provider.force_flush(10_000)
    assert [span.name for span in receiver.spans("rag-front")] == ["x"]
    front.close()


@pytest.mark.usefixtures("nobody")
async def test_a_flush_that_takes_too_long_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    front = setup.configure("front", "1")
    with front.serving("x", None, {}):
        pass
    assert not front.tracer_provider.force_flush(50)
    front.close()


def test_the_global_provider_is_the_configured_one() -> None:
    program = (
        "import os; os.environ['OTEL_EXPORTER_OTLP_ENDPOINT'] = 'http://127.0.0.1:1'\n"
        "from opentelemetry import trace\n"
        "from rag_common.observability import setup\n"
        "telemetry = setup.configure('shop', '1')\n"
        "assert trace.get_tracer_provider() is telemetry.tracer_provider\n"
        "with telemetry.serving('x', None, {}) as call:\n"
        "    with trace.get_tracer('library').start_as_current_span('y') as span:\n"
        "        assert span.parent == call.get_span_context()\n"
        "os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == 0
