"""Traces: nothing where no endpoint is set, and what reaches a receiver of OTLP where one is."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as collector
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from rag_common import errors, telemetry
from rag_common.context import Trace
from rag_common.telemetry import Telemetry
from tests.rpc import NAME, Act, method, peer, same, served

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = ("traceparent", f"00-{TRACE}-{PARENT}-01")


class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps the spans that come by OTLP."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.requests: list[collector.ExportTraceServiceRequest] = []

    def Export(
        self, request: collector.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> collector.ExportTraceServiceResponse:
        with self._lock:
            self.requests.append(request)
        return collector.ExportTraceServiceResponse()

    def spans(self, service: str) -> list[Span]:
        """Spans of one service, in the order in which they ended."""
        found = [resource for request in self.requests for resource in request.resource_spans]
        return [
            span
            for spans in found
            for scope in spans.scope_spans
            for span in scope.spans
            if any(a.value.string_value == service for a in spans.resource.attributes)
        ]


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    receiving = Receiver()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiving, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    yield receiving
    server.stop(None)


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
    assert (client.name, client.kind) == ("echo", Span.SPAN_KIND_CLIENT)


async def test_a_call_that_went_well_has_no_error(receiver: Receiver) -> None:
    await hop()
    spans = receiver.spans("rag-front") + receiver.spans("rag-back")
    assert {span.status.code for span in spans} == {Status.STATUS_CODE_UNSET}


@pytest.mark.parametrize("error", [ValueError("hunter2"), errors.NotFound("hunter2")])
async def test_an_error_marks_every_span_and_leaves_no_text(
    receiver: Receiver, error: Exception
) -> None:
    async def act(_text: str) -> str:
        raise error

    await hop(act)
    spans = receiver.spans("rag-front") + receiver.spans("rag-back")
    assert [span.status.code for span in spans] == [Status.STATUS_CODE_ERROR] * 3
    assert not any(b"hunter2" in request.SerializeToString() for request in receiver.requests)


async def test_what_the_caller_does_not_sample_is_not_sent(receiver: Receiver) -> None:
    tracing = telemetry.configure("front", "1")
    async with served(telemetry=tracing) as service:
        await service.call(metadata=[("traceparent", f"00-{TRACE}-{PARENT}-00")])
    tracing.close()
    assert not receiver.spans("rag-front")


def test_the_sdk_can_be_switched_off(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with telemetry.configure("front", "1").span("x", "server", None, {}) as at:
        assert Trace.parse(at.traceparent) == at
    assert not receiver.requests


def test_without_an_endpoint_the_callers_trace_is_handed_on() -> None:
    parent = Trace(TRACE, PARENT)
    with Telemetry().span("x", "server", parent, {}) as at:
        assert at == parent


def test_without_an_endpoint_and_a_caller_a_trace_is_begun() -> None:
    with Telemetry().span("x", "server", None, {}) as at:
        assert Trace.parse(at.traceparent) == at


def test_without_an_endpoint_nothing_of_the_sdk_is_loaded() -> None:
    program = (
        "import sys; import rag_common.rpc.server, rag_common.rpc.client; "
        "from rag_common import telemetry; "
        "tracing = telemetry.configure('shop', '1')\n"
        "with tracing.span('x', 'server', None, {}): pass\n"
        "tracing.close()\n"
        "sys.exit('opentelemetry.sdk' in sys.modules or 'opentelemetry.exporter' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], env={}, check=False)
    assert done.returncode == 0
