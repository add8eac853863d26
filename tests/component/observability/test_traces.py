"""The store of traces of one machine: OTLP in by gRPC and HTTP, Tempo's API out, all of it bounded."""

import base64
import gzip
import json
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import grpc
import pytest
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as collector
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from rag_local.program import StartFailed
from rag_local.trace_store import Bounds, TraceStore, trace_store
from tests.support.observability.spans import chain

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}
SMALL = Bounds(traces=3, spans=5, bytes=20_000, request_bytes=100_000)
SECOND = 1_000_000_000


@pytest.fixture
def store() -> Iterator[TraceStore]:
    with trace_store(grpc_port=0, http_port=0, bounds=SMALL) as running:
        yield running


@pytest.fixture
async def http(store: TraceStore) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(store.url) as session:
        yield session


@pytest.fixture
def channel(store: TraceStore) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(store.endpoint.removeprefix("http://")) as opened:
        yield opened


def exported(
    trace: int, spans: int = 1, first: int = 1, service: str = "rag-gateway", text: str = ""
) -> collector.ExportTraceServiceRequest:
    """Spans of one trace: a root, then its children; the trace begins `trace` seconds after 1970."""
    request = collector.ExportTraceServiceRequest()
    group = request.resource_spans.add()
    named = group.resource.attributes.add(key="service.name")
    named.value.string_value = service
    scope = group.scope_spans.add()
    for number in range(first, first + spans):
        span = scope.spans.add(
            trace_id=trace.to_bytes(16, "big"),
            span_id=number.to_bytes(8, "big"),
            parent_span_id=b"" if number == 1 else (1).to_bytes(8, "big"),
            name=f"span {number}{text}",
            start_time_unix_nano=trace * SECOND + number,
            end_time_unix_nano=trace * SECOND + number + 5_000_000,
        )
        tenant = span.attributes.add(key="rag.tenant")
        tenant.value.string_value = f"tenant {trace}"
    return request


def send(channel: grpc.Channel, request: collector.ExportTraceServiceRequest) -> int:
    """By gRPC; gives how many spans were refused."""
    export = trace_service_pb2_grpc.TraceServiceStub(channel).Export  # type: ignore[no-untyped-call]
    response = export(request, timeout=10)
    return int(response.partial_success.rejected_spans)


async def found(http: aiohttp.ClientSession, trace: int) -> list[Any]:
    async with http.get(f"/api/traces/{trace:032x}") as reply:
        assert reply.status in (200, 206), await reply.text()
        return spans((await reply.json())["batches"])


def spans(groups: list[Any]) -> list[Any]:
    return [span for group in groups for scope in group["scopeSpans"] for span in scope["spans"]]


@pytest.mark.parametrize("protocol", ["grpc", "http"])
async def test_the_spans_of_several_processes_make_one_trace(
    store: TraceStore, http: aiohttp.ClientSession, protocol: str
) -> None:
    where = f"grpc+{store.endpoint}" if protocol == "grpc" else store.url
    trace_id = chain(where, "gateway", "embedder", "retriever")
    async with http.get(f"/api/traces/{trace_id}") as reply:
        groups = (await reply.json())["batches"]
    pids = {
        attribute["value"]["intValue"]
        for group in groups
        for attribute in group["resource"]["attributes"]
        if attribute["key"] == "process.pid"
    }
    assert (len(pids), len(spans(groups))) == (3, 5)
    known = {span["spanId"] for span in spans(groups)}
    parents = [span.get("parentSpanId") for span in spans(groups)]
    assert parents.count(None) == 1
    assert set(parents) - {None} <= known


async def test_a_trace_has_tempos_form_in_both_versions_of_its_api(
    channel: grpc.Channel, http: aiohttp.ClientSession
) -> None:
    send(channel, exported(7, spans=2))
    # Leading zeros of an id may be missing.
    async with http.get("/api/traces/7") as reply:
        [group] = (await reply.json())["batches"]
    [service] = group["resource"]["attributes"]
    assert service == {"key": "service.name", "value": {"stringValue": "rag-gateway"}}
    _, span = spans([group])
    assert base64.b64decode(span["traceId"]) == (7).to_bytes(16, "big")
    assert base64.b64decode(span["parentSpanId"]) == (1).to_bytes(8, "big")
    assert span["startTimeUnixNano"] == str(7 * SECOND + 2)
    async with http.get(f"/api/v2/traces/{7:032x}") as reply:
        document = await reply.json()
    assert document["trace"] == {"resourceSpans": [group]}
    assert "status" not in document


async def test_a_trace_is_given_as_protobuf_to_whoever_asks_for_it(
    channel: grpc.Channel, http: aiohttp.ClientSession
) -> None:
    send(channel, exported(7, spans=2))
    headers = {"accept": "application/protobuf"}
    async with http.get(f"/api/traces/{7:032x}", headers=headers) as reply:
        data = TracesData.FromString(await reply.read())
    assert len(data.resource_spans[0].scope_spans[0].spans) == 2


@pytest.mark.parametrize("version", ["", "v2/"])
async def test_an_unknown_trace_is_404_and_no_id_is_400(
    http: aiohttp.ClientSession, version: str
) -> None:
    for written, status in (("ab" * 16, 404), ("xyz", 400), ("1" * 33, 400)):
        async with http.get(f"/api/{version}traces/{written}") as reply:
            assert reply.status == status


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("kind", ["protobuf", "json"])
async def test_http_takes_protobuf_and_json_packed_or_not(
    http: aiohttp.ClientSession, kind: str, packed: bool
) -> None:
    body = (
        exported(7).SerializeToString() if kind == "protobuf" else json.dumps(written(7)).encode()
    )
    headers = dict(PROTOBUF if kind == "protobuf" else JSON)
    if packed:
        body, headers = gzip.compress(body), {**headers, "content-encoding": "gzip"}
    async with http.post("/v1/traces", data=body, headers=headers) as reply:
        assert (reply.status, reply.content_type) == (200, headers["content-type"])
    [span] = await found(http, 7)
    assert base64.b64decode(span["spanId"]) == (1).to_bytes(8, "big")


def written(trace: int) -> dict[str, Any]:
    """OTLP's own JSON, with ids in hexadecimal."""
    span = {
        "traceId": f"{trace:032x}",
        "spanId": f"{1:016X}",
        "name": "written",
        "kind": 2,
        "startTimeUnixNano": str(SECOND),
        "endTimeUnixNano": str(2 * SECOND),
        "links": [{"traceId": f"{trace + 1:032x}", "spanId": f"{9:016x}"}],
        "aFieldOfTomorrow": 1,
    }
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": [span]}]}]}


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (PROTOBUF, b"\xff\xff\xff", 400),
        (JSON, b"{", 400),
        (JSON, b"[]", 400),
        (JSON, b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}', 400),
        (JSON, b"[" * 90_000, 400),
        ({"content-type": "text/plain"}, b"{}", 415),
        (PROTOBUF, bytes(SMALL.request_bytes + 1), 413),
        (PROTOBUF | {"content-encoding": "gzip"}, gzip.compress(bytes(50_000_000)), 413),
    ],
    ids=["protobuf", "json", "array", "id", "deep", "type", "large", "bomb"],
)
async def test_what_is_no_export_is_refused(
    http: aiohttp.ClientSession, headers: dict[str, str], body: bytes, status: int
) -> None:
    async with http.post("/v1/traces", data=body, headers=headers) as reply:
        assert reply.status == status
    async with http.get("/ready") as reply:
        assert reply.status == 200


def test_a_request_by_grpc_that_is_too_large_is_refused(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        send(channel, exported(7, text="x" * SMALL.request_bytes))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("signal", ["logs", "metrics"])
async def test_logs_and_metrics_are_taken_and_let_go(
    channel: grpc.Channel, http: aiohttp.ClientSession, signal: str
) -> None:
    if signal == "logs":
        stub = logs_service_pb2_grpc.LogsServiceStub(channel)  # type: ignore[no-untyped-call]
        stub.Export(logs.ExportLogsServiceRequest(), timeout=10)
    else:
        other = metrics_service_pb2_grpc.MetricsServiceStub(channel)  # type: ignore[no-untyped-call]
        other.Export(metrics.ExportMetricsServiceRequest(), timeout=10)
    async with http.post(f"/v1/{signal}", data=b"", headers=PROTOBUF) as reply:
        assert reply.status == 200


async def test_what_is_sent_twice_is_kept_once(
    channel: grpc.Channel, http: aiohttp.ClientSession
) -> None:
    assert [send(channel, exported(7, spans=2)) for _ in range(2)] == [0, 0]
    assert len(await found(http, 7)) == 2


async def test_the_oldest_trace_goes_first_and_is_counted(
    store: TraceStore, channel: grpc.Channel, http: aiohttp.ClientSession
) -> None:
    for trace in range(1, SMALL.traces + 2):
        send(channel, exported(trace))
    async with http.get(f"/api/traces/{1:032x}") as reply:
        assert reply.status == 404
    assert len(await found(http, 2)) == 1
    assert store.dropped.traces == 1


async def test_a_trace_has_no_more_spans_than_the_bound_and_says_so(
    store: TraceStore, channel: grpc.Channel, http: aiohttp.ClientSession
) -> None:
    assert send(channel, exported(7, spans=SMALL.spans + 2)) == 2
    assert len(await found(http, 7)) == SMALL.spans
    async with http.get(f"/api/traces/{7:032x}") as reply:
        assert reply.status == 206
    async with http.get(f"/api/v2/traces/{7:032x}") as reply:
        assert (await reply.json())["status"] == "PARTIAL"
    assert store.dropped.spans == 2


async def test_the_bytes_of_all_traces_are_bounded(
    store: TraceStore, channel: grpc.Channel, http: aiohttp.ClientSession
) -> None:
    half = "x" * (SMALL.bytes * 2 // 3)
    assert [send(channel, exported(trace, text=half)) for trace in (1, 2)] == [0, 0]
    assert store.dropped.traces == 1
    assert send(channel, exported(3, text=2 * half)) == 1
    async with http.get("/status") as reply:
        assert (await reply.json())["droppedSpans"] == 1


async def test_a_span_without_a_whole_id_is_counted_as_lost(
    store: TraceStore, channel: grpc.Channel
) -> None:
    request = exported(7)
    request.resource_spans[0].scope_spans[0].spans[0].trace_id = b"short"
    assert send(channel, request) == 1
    assert store.dropped.spans == 1


async def test_a_search_lists_the_newest_first(
    channel: grpc.Channel, http: aiohttp.ClientSession
) -> None:
    for trace in (2, 3, 1):
        send(channel, exported(trace, spans=2))
    async with http.get("/api/search", params={"limit": "2"}) as reply:
        listed = (await reply.json())["traces"]
    assert [item["traceID"] for item in listed] == [f"{3:032x}", f"{2:032x}"]
    assert listed[0] == {
        "traceID": f"{3:032x}",
        "rootServiceName": "rag-gateway",
        "rootTraceName": "span 1",
        "startTimeUnixNano": str(3 * SECOND + 1),
        "durationMs": 5,
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"tags": "service.name=rag-embedder"}, [2]),
        ({"tags": 'service.name=rag-gateway rag.tenant="tenant 3"'}, [3]),
        ({"tags": 'name="span 1" error=false'}, [3, 2, 1]),
        ({"tags": "error=true"}, []),
        ({"start": "2"}, [3, 2]),
        ({"end": "2"}, [1]),
    ],
)
async def test_a_search_takes_tags_and_times(
    channel: grpc.Channel, http: aiohttp.ClientSession, query: dict[str, str], expected: list[int]
) -> None:
    for trace, service in ((1, "rag-gateway"), (2, "rag-embedder"), (3, "rag-gateway")):
        send(channel, exported(trace, service=service))
    async with http.get("/api/search", params=query) as reply:
        listed = (await reply.json())["traces"]
    assert [int(item["traceID"], 16) for item in listed] == expected


@pytest.mark.parametrize("query", ["q={}", "limit=0", "limit=x", "tags=%22", "tags=word"])
async def test_a_search_that_cannot_be_done_is_400(http: aiohttp.ClientSession, query: str) -> None:
    async with http.get(f"/api/search?{query}") as reply:
        assert reply.status == 400


async def test_a_search_finds_what_is_linked_with_a_trace(
    channel: grpc.Channel, http: aiohttp.ClientSession
) -> None:
    batch = exported(2, service="rag-embedder")
    batch.resource_spans[0].scope_spans[0].spans[0].links.add(
        trace_id=(1).to_bytes(16, "big"), span_id=(1).to_bytes(8, "big")
    )
    for request in (exported(1), batch, exported(3)):
        send(channel, request)
    query = {"q": f'{{ link:traceID = "{1:032x}" }}'}
    async with http.get("/api/search", params=query) as reply:
        listed = (await reply.json())["traces"]
    assert [int(item["traceID"], 16) for item in listed] == [2]


async def test_a_name_that_leads_to_loopback_is_turned_away(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/search", headers={"host": "evil.example:4318"}) as reply:
        assert reply.status == 403


def test_it_listens_on_loopback_alone(store: TraceStore) -> None:
    assert store.url.startswith("http://127.0.0.1:")
    with socket.socket() as other:
        # The same port of another address is free.
        other.bind(("127.0.0.2", int(store.url.rpartition(":")[2])))


@pytest.mark.parametrize("name", ["grpc_port", "http_port"])
def test_a_port_that_is_taken_is_said_so(name: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ports = {"grpc_port": 0, "http_port": 0, name: port}
        with pytest.raises(StartFailed, match=f"port {port}"), trace_store(**ports):
            pass


def test_its_ports_are_free_when_it_has_ended() -> None:
    with trace_store(grpc_port=0, http_port=0) as store:
        ports = [int(url.rpartition(":")[2]) for url in (store.endpoint, store.url)]
    with trace_store(grpc_port=ports[0], http_port=ports[1]) as again:
        assert again.url == store.url
