"""`rag trace`: one call's spans as a waterfall, from the local store, Tempo and Jaeger."""

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Tracer, set_span_in_context
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from rag_client.command import app
from rag_client.observed.identifiers import trace_id
from rag_client.observed.paths import shares
from rag_client.observed.spans import Span, Trace
from rag_client.observed.summaries import summary
from rag_client.observed.tree import forest
from rag_local.observed import Traced
from rag_local.traces import TraceStore, trace_store
from tests.observability.spans import chain

TRACE = "0af7651916cd43dd8448eb211c80319c"
OTHER = "11111111111111111111111111111111"
MILLISECOND = 1_000_000
TREE = [
    "rag-gateway   Service/Call",
    "rag-gateway     > Service/Call",
    "rag-embedder      Service/Call",
    "rag-gateway     > Service/Call",
    "rag-retriever     Service/Call",
]
BEGIN = 1_790_000_000_000_000_000


def rag(*words: str) -> Result:
    return CliRunner().invoke(app, ["trace", *words])


@pytest.fixture
def store() -> Iterator[TraceStore]:
    with trace_store(grpc_port=0, http_port=0) as running:
        yield running


@contextmanager
def answering(*replies: Any, path: str = "/api/traces/{id}") -> Iterator[str]:
    """A server that answers each question with the next document, the last one again and again.

    None is 404; a mapping by trace id is looked into.
    """
    left = list(replies)

    async def handle(request: web.Request) -> web.Response:
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, dict) and found.keys() <= {TRACE, OTHER}:
            found = found.get(request.match_info["id"])
        if isinstance(found, web.Response):
            return found
        if found is None:
            return web.json_response({"data": None, "errors": [{"code": 404}]}, status=404)
        return web.json_response(found)

    with running(path, handle) as url:
        yield url


@contextmanager
def running(path: str, handle: Callable[[web.Request], Any]) -> Iterator[str]:
    """A server in a thread of its own: the command runs a loop in this one."""
    loop, opened, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    ports: list[int] = []

    async def serve() -> None:
        application = web.Application()
        application.router.add_get(path, handle)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ports.append(runner.addresses[0][1])
        opened.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert opened.wait(10)
    yield f"http://127.0.0.1:{ports[0]}"
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


def b64(digits: str) -> str:
    return base64.b64encode(bytes.fromhex(digits)).decode()


def span_id(number: int) -> str:
    return f"{number:016x}"


def tempo_span(
    number: int, parent: int, name: str, start: float, length: float, **more: Any
) -> dict[str, Any]:
    """A span as Tempo writes it: ids in base64, enumerations by name; times here in milliseconds."""
    return {
        "traceId": b64(more.pop("trace", TRACE)),
        "spanId": b64(span_id(number)),
        "parentSpanId": b64(span_id(parent)) if parent else "",
        "name": name,
        "kind": "SPAN_KIND_SERVER",
        "startTimeUnixNano": str(BEGIN + int(start * MILLISECOND)),
        "endTimeUnixNano": str(BEGIN + int((start + length) * MILLISECOND)),
        **more,
    }


def tempo(**services: list[dict[str, Any]]) -> dict[str, Any]:
    """What Tempo answers: a batch a service, each a process with its pid."""
    batches = [
        {
            "resource": {
                "attributes": [
                    {"key": "service.name", "value": {"stringValue": f"rag-{service}"}},
                    {"key": "process.pid", "value": {"intValue": str(number)}},
                ]
            },
            "scopeSpans": [{"scope": {"name": "rag"}, "spans": spans}],
        }
        for number, (service, spans) in enumerate(services.items(), start=100)
    ]
    return {"batches": batches}


def question(at: float = 0.0) -> dict[str, Any]:
    """A question: 100 ms in the gateway, of which the embedder has 60, and the rest is its own."""
    failed = {
        "status": {"code": "STATUS_CODE_ERROR", "message": "queue"},
        "attributes": [
            {"key": "error.type", "value": {"stringValue": "OVERLOADED"}},
            {"key": "rpc.response.status_code", "value": {"stringValue": "UNAVAILABLE"}},
        ],
    }
    token = {"name": "first_token", "timeUnixNano": str(BEGIN + 50 * MILLISECOND)}
    return tempo(
        gateway=[
            tempo_span(1, 0, "rag.gateway.v1.AnswerService/Search", at, 100, events=[token]),
            tempo_span(2, 1, "auth", at + 1, 9),
        ],
        embedder=[tempo_span(3, 1, "rag.embedder.v1.EmbedderService/Embed", at + 20, 60, **failed)],
    )


PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The environment's proxy, for every host there is; the URLs that it was asked for."""
    seen: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(str(request.url))
        return web.Response(status=403)

    with running("/{any:.*}", handle) as proxy:
        for name in PROXIES:
            monkeypatch.setenv(name, proxy)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield seen


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_what_is_on_this_machine_is_read_without_a_proxy(proxied: list[str], host: str) -> None:
    with answering(question()) as url:
        result = rag(TRACE, "--url", url.replace("127.0.0.1", host))
    assert result.exit_code == 0, result.stderr
    assert proxied == []


def test_other_machines_are_read_through_the_proxy(proxied: list[str]) -> None:
    result = rag(TRACE, "--url", "http://tempo.example:3200", "--wait", "0")
    assert "answers 403" in result.stderr
    assert proxied == [f"http://tempo.example:3200/api/traces/{TRACE}"]


def test_the_last_trace_of_the_local_store_is_found_without_a_proxy(proxied: list[str]) -> None:
    newest = {"traces": [{"traceID": TRACE, "rootTraceName": "rag.gateway.v1.AnswerService/Ask"}]}
    with answering(newest, path="/api/search") as url:
        assert Traced({}, url=url).last("AnswerService/Ask") == TRACE
    assert proxied == []


def lines(result: Result, what: str) -> list[str]:
    return [line for line in result.stdout.splitlines() if what in line]


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_call_through_several_processes_is_one_tree(store: TraceStore, protocol: str) -> None:
    where = f"grpc+{store.endpoint}" if protocol == "grpc" else store.url
    found = chain(where, "gateway", "embedder", "retriever")
    result = rag(found, "--url", store.url)
    assert result.exit_code == 0, result.stderr
    assert "5 spans · 3 services, 3 processes · 0 errors · 0 orphans" in result.stdout
    rows = [line[:30].rstrip() for line in lines(result, "Service/Call ") if line[:1] == "r"]
    assert rows == TREE


def test_a_failure_in_another_process_is_shown_where_it_happened(store: TraceStore) -> None:
    found = chain(f"grpc+{store.endpoint}", "gateway", "embedder", failing="embedder")
    result = rag(found, "--url", store.url)
    assert "1 error" in result.stdout
    [failed] = lines(result, "UNAVAILABLE")
    assert failed.startswith("rag-embedder")
    assert lines(result, "! DEPENDENCY_DOWN")


def test_a_caller_whose_span_is_kept_nowhere_is_named(store: TraceStore) -> None:
    parent = f"00-{TRACE}-b7ad6b7169203331-01"
    assert chain(f"grpc+{store.endpoint}", "gateway", parent=parent) == TRACE
    result = rag(parent, "--url", store.url, "--wait", "0")
    assert "0 orphans" in result.stdout
    assert "! it begins below span b7ad6b7169203331, which never arrived" in result.stdout


def test_a_parent_that_never_arrived_is_named() -> None:
    spans = [tempo_span(1, 0, "Search", 0, 9), tempo_span(3, 2, "Embed", 2, 4)]
    with answering(tempo(gateway=spans)) as url:
        result = rag(TRACE, "--url", url)
    assert "1 orphan" in result.stdout
    assert f"! orphan: the parent {span_id(2)} of rag-gateway Embed never arrived" in result.stdout


@pytest.mark.parametrize(
    "document",
    [
        question(),
        {"trace": {"resourceSpans": question()["batches"]}, "metrics": {}},
        {"resourceSpans": question()["batches"]},
    ],
    ids=["first version", "second version", "OTLP"],
)
def test_tempos_forms_are_read(document: Any) -> None:
    with answering(document) as url:
        result = rag(TRACE, "--url", url)
    assert "total 100 ms · 3 spans · 2 services, 2 processes · 1 error · 0 orphans" in result.stdout
    assert lines(result, "UNAVAILABLE")[0].startswith("rag-embedder   EmbedderService/Embed")
    assert lines(result, "! OVERLOADED: queue")
    assert lines(result, "* first_token at 50.0 ms")


def test_ids_in_hexadecimal_are_read_too() -> None:
    document = tempo(gateway=[tempo_span(1, 0, "auth", 0, 5)])
    [span] = document["batches"][0]["scopeSpans"][0]["spans"]
    span |= {"traceId": TRACE.upper(), "spanId": span_id(1), "kind": 1, "status": {"code": 2}}
    with answering(document) as url:
        result = rag(TRACE, "--url", url)
    assert "1 span ·" in result.stdout
    assert "1 error" in result.stdout


def jaeger() -> dict[str, Any]:
    """What Jaeger answers: times in microseconds, status and kind as tags, links as references."""

    def tag(key: str, value: Any, kind: str = "string") -> dict[str, Any]:
        return {"key": key, "type": kind, "value": value}

    begin = BEGIN // 1000
    spans = [
        {
            "traceID": TRACE,
            "spanID": span_id(1),
            "operationName": "rag.gateway.v1.AnswerService/Search",
            "references": [],
            "startTime": begin,
            "duration": 100_000,
            "tags": [tag("span.kind", "server"), tag("rpc.response.status_code", "OK")],
            "logs": [{"timestamp": begin + 50_000, "fields": [tag("event", "first_token")]}],
            "processID": "p1",
            "warnings": None,
        },
        {
            "traceID": TRACE,
            "spanID": span_id(2),
            "operationName": "embed.batch",
            "references": [
                {"refType": "CHILD_OF", "traceID": TRACE, "spanID": span_id(1)},
                {"refType": "FOLLOWS_FROM", "traceID": OTHER, "spanID": span_id(9)},
            ],
            "startTime": begin + 20_000,
            "duration": 60_000,
            "tags": [
                tag("error", True, "bool"),
                tag("otel.status_code", "ERROR"),
                tag("otel.status_description", "TimeoutError"),
            ],
            "logs": [],
            "processID": "p2",
            "warnings": ["clock skew"],
        },
    ]
    processes = {
        "p1": {"serviceName": "rag-gateway", "tags": [tag("process.pid", 1, "int64")]},
        "p2": {"serviceName": "rag-embedder", "tags": [tag("process.pid", 2, "int64")]},
    }
    data = [{"traceID": TRACE, "spans": spans, "processes": processes, "warnings": None}]
    return {"data": data, "total": 0, "limit": 0, "offset": 0, "errors": None}


def test_jaegers_form_is_read() -> None:
    with answering({TRACE: jaeger()}) as url:
        result = rag(TRACE, "--url", url)
    assert "total 100 ms · 2 spans · 2 services, 2 processes · 1 error · 0 orphans" in result.stdout
    assert lines(result, "! TimeoutError")
    assert lines(result, f"~ linked with 1 span of trace {OTHER}")
    assert lines(result, "* first_token at 50.0 ms")


@pytest.mark.parametrize(
    "written",
    [
        TRACE,
        TRACE.upper(),
        "0af76519-16cd-43dd-8448-eb211c80319c",
        f"00-{TRACE}-b7ad6b7169203331-01",
        f"traceparent: 00-{TRACE.upper()}-B7AD6B7169203331-00",
        f" {TRACE}\n",
    ],
)
def test_an_id_is_taken_as_people_have_it(written: str) -> None:
    assert trace_id(written) == TRACE


@pytest.mark.parametrize(
    "written", ["", "word", TRACE[1:], f"{TRACE}0", "0" * 32, "g" * 32, "연차"]
)
def test_what_is_no_id_is_said_so(written: str) -> None:
    result = rag("--", written)
    assert result.exit_code == 1
    assert result.stderr.startswith("rag: ")
    assert "trace id" in result.stderr


def test_a_trace_that_is_nowhere_says_what_to_look_at(store: TraceStore) -> None:
    result = rag(TRACE, "--url", store.url, "--wait", "0")
    assert (result.exit_code, result.stdout) == (1, "")
    for hint in (TRACE, store.url, "sampled", "OTEL_EXPORTER_OTLP_ENDPOINT", "--wait"):
        assert hint in result.stderr


@pytest.mark.parametrize("document", [{"data": [], "errors": None}, {"batches": []}])
def test_an_answer_without_a_span_is_no_trace(document: Any) -> None:
    with answering(document) as url:
        assert "no trace" in rag(TRACE, "--url", url, "--wait", "0").stderr


def test_it_waits_for_spans_that_are_on_their_way() -> None:
    whole = question(at=(time.time_ns() - BEGIN) / MILLISECOND)
    part = {"batches": whole["batches"][1:]}
    with answering(None, part, whole) as url:
        result = rag(TRACE, "--url", url, "--wait", "20")
    assert "3 spans" in result.stdout
    assert "0 orphans" in result.stdout


def test_it_does_not_wait_for_what_is_long_past() -> None:
    whole = question()
    with answering({"batches": whole["batches"][1:]}, whole) as url:
        result = rag(TRACE, "--url", url, "--wait", "20")
    assert "1 span ·" in result.stdout


def test_a_place_that_does_not_answer_is_said_so() -> None:
    result = rag(TRACE, "--url", "http://127.0.0.1:1")
    assert result.exit_code == 1
    assert "http://127.0.0.1:1/api/traces/" in result.stderr
    assert "does not answer" in result.stderr


@pytest.mark.parametrize(
    "reply",
    [
        web.Response(text="<html>", content_type="text/html"),
        web.Response(text="{}"),
        web.Response(text="[]"),
        web.Response(text='{"batches": [{"scopeSpans": [{"spans": [{"traceId": 1}]}]}]}'),
        web.Response(text='{"data": [{"spans": [{}]}]}'),
        web.Response(status=503),
    ],
    ids=["page", "empty", "array", "spans", "jaeger", "status"],
)
def test_an_answer_that_is_no_trace_is_said_so(reply: web.Response) -> None:
    with answering(reply) as url:
        result = rag(TRACE, "--url", url)
    assert result.exit_code == 1
    assert result.stderr.startswith("rag: ")
    assert "Traceback" not in result.stderr


def test_envoys_word_for_a_failure_is_its_reason() -> None:
    attributes = [
        {"key": "http.status_code", "value": {"stringValue": "503"}},
        {"key": "response_flags", "value": {"stringValue": "UH"}},
    ]
    status = {"code": "STATUS_CODE_ERROR"}
    ingress = tempo_span(1, 0, "ingress", 0, 5, attributes=attributes, status=status)
    with answering(tempo(edge=[ingress])) as url:
        result = rag(TRACE, "--url", url)
    assert lines(result, "5.00 ms 503")
    assert lines(result, "! response flags UH")


def test_a_url_without_its_password_is_shown() -> None:
    result = rag(TRACE, "--url", "http://user:hunter2@127.0.0.1:1")
    assert "hunter2" not in result.stderr


def test_headers_are_sent() -> None:
    async def handle(request: web.Request) -> web.Response:
        known = request.headers.get("x-scope-orgid") == "team"
        return web.json_response(question() if known else {}, status=200 if known else 401)

    with running("/api/traces/{id}", handle) as url:
        assert rag(TRACE, "--url", url, "--header", "X-Scope-OrgID: team").exit_code == 0
        assert "answers 401" in rag(TRACE, "--url", url).stderr


def test_a_pipe_gets_plain_lines_of_a_hundred_cells() -> None:
    with answering(question()) as url:
        result = rag(TRACE, "--url", url)
    waterfall = [line for line in result.stdout.splitlines() if line.startswith("rag-")]
    assert len(waterfall) == 3
    assert "\x1b" not in result.stdout
    assert max(map(cell_len, result.stdout.splitlines())) <= 100


def test_korean_names_keep_the_columns_in_line() -> None:
    spans = [
        tempo_span(1, 0, "질문에 답하기", 0, 100),
        tempo_span(2, 1, "문서에서 찾아 순위를 매기고 아주 긴 이름을 가진 단계" * 2, 0, 100),
        tempo_span(3, 1, "short", 0, 100),
    ]
    with answering(tempo(gateway=spans)) as url:
        result = rag(TRACE, "--url", url)
    bars = [line for line in result.stdout.splitlines() if "====" in line]
    assert len({cell_len(line[: line.index("=")]) for line in bars}) == 1
    assert {cell_len(line) for line in bars} == {max(map(cell_len, bars))}


def test_a_name_cannot_move_the_cursor() -> None:
    with answering(tempo(gateway=[tempo_span(1, 0, "a\x1b[2Jb\r\nc", 0, 1)])) as url:
        result = rag(TRACE, "--url", url)
    assert "\x1b" not in result.stdout
    assert "a?[2Jb c" in result.stdout


def test_verbose_shows_the_attributes() -> None:
    with answering(question()) as url:
        assert "error.type=OVERLOADED" in rag(TRACE, "--url", url, "-v").stdout
        assert "error.type=" not in rag(TRACE, "--url", url).stdout


def test_json_has_the_facts_and_every_span() -> None:
    with answering(question()) as url:
        found = json.loads(rag(TRACE, "--url", url, "--json").stdout)
    assert found["summary"]["total"] == 100 * MILLISECOND
    assert [span["span_id"] for span in found["spans"]] == [span_id(n) for n in (1, 2, 3)]


def test_a_request_shows_the_batch_of_another_trace_that_it_was_in() -> None:
    link = {"traceId": b64(OTHER), "spanId": b64(span_id(9))}
    mine = tempo(embedder=[tempo_span(1, 0, "embed.queue", 0, 50, links=[link])])
    batch = tempo_span(9, 8, "embed.batch", 10, 30, trace=OTHER)
    with answering({TRACE: mine, OTHER: tempo(embedder=[batch])}) as url:
        result = rag(TRACE, "--url", url)
    assert lines(result, "~ embed.batch")
    assert lines(result, f"of trace {OTHER}")


def test_a_request_shows_the_batch_of_another_trace_that_says_so_itself(store: TraceStore) -> None:
    """Requests are linked by their batch, which cannot be told to them before it begins."""
    with sending(store) as tracer:
        requests = [tracer.start_span("embed.queue", Context()) for _ in range(32)]
        links = [Link(request.get_span_context()) for request in requests]
        first = set_span_in_context(requests[0])
        tracer.start_span("embed.batch", first, links=links).end()
        for request in requests:
            request.end()
    last = f"{requests[-1].get_span_context().trace_id:032x}"
    result = rag(last, "--url", store.url)
    assert lines(result, "~ embed.batch")
    assert lines(result, f"of trace {requests[0].get_span_context().trace_id:032x}")


@contextmanager
def sending(store: TraceStore) -> Iterator[Tracer]:
    """OpenTelemetry's SDK in this process; all is sent when the block has ended."""
    provider = TracerProvider(resource=Resource.create({"service.name": "rag-embedder"}))
    exporter = OTLPSpanExporter(endpoint=store.endpoint, insecure=True)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    yield provider.get_tracer("test")
    provider.shutdown()


def test_a_batch_names_how_many_requests_it_was_for() -> None:
    links = [{"traceId": b64(f"{n:032x}"), "spanId": b64(span_id(n))} for n in range(1, 33)]
    with answering(
        {TRACE: tempo(embedder=[tempo_span(1, 0, "embed.batch", 0, 5, links=links)])}
    ) as url:
        [line] = lines(rag(TRACE, "--url", url), "linked with")
    assert "32 spans of trace" in line


def test_a_link_within_the_trace_is_named() -> None:
    links = [{"traceId": b64(TRACE), "spanId": b64(span_id(1))}]
    spans = [
        tempo_span(1, 0, "embed.queue", 0, 5),
        tempo_span(2, 1, "embed.batch", 1, 2, links=links),
    ]
    with answering(tempo(embedder=spans)) as url:
        assert lines(rag(TRACE, "--url", url), "~ linked with embed.queue")


def test_a_trace_that_the_store_has_in_part_says_so() -> None:
    document = {
        "trace": {"resourceSpans": question()["batches"]},
        "status": "PARTIAL",
        "message": "too large",
    }
    with answering(document) as url:
        assert "! not the whole trace: too large" in rag(TRACE, "--url", url).stdout


def span(
    number: int, parent: int, start: int, end: int, service: str = "rag-gateway", **more: Any
) -> Span:
    """A span named by its number; times in nanoseconds."""
    given: Mapping[str, Any] = {
        "kind": "internal",
        "failed": False,
        "message": "",
        "attributes": {},
        "resource": {"service.name": service},
        "events": (),
        "links": (),
        **more,
    }
    own = (TRACE, span_id(number), span_id(parent) if parent else "", f"s{number}")
    return Span(*own, start=start, end=end, **given)


def path(*spans: Span) -> dict[str, int]:
    return {share.name: share.nanoseconds for share in shares(forest(Trace(TRACE, spans)).tops)}


def test_the_critical_path_is_what_the_end_waited_for() -> None:
    first, second = span(2, 1, 10, 40), span(3, 1, 20, 90)
    assert path(span(1, 0, 0, 100), first, second) == {"s3": 70, "s1": 20, "s2": 10}


def test_the_critical_path_sums_to_the_whole_time() -> None:
    late = span(4, 2, 80, 150)
    spans = (
        span(1, 0, 0, 100),
        span(2, 1, 10, 60),
        span(3, 1, 30, 200),
        late,
        span(5, 99, 250, 300),
    )
    assert sum(path(*spans).values()) == 300
    assert path(*spans)["(no span)"] == 150


def test_time_between_spans_that_have_nothing_to_do_with_each_other_is_no_spans() -> None:
    assert path(span(1, 0, 0, 10), span(2, 9, 30, 40)) == {"s1": 10, "s2": 10, "(no span)": 20}


def test_parents_in_a_circle_are_shown_once_each() -> None:
    grown = forest(Trace(TRACE, (span(1, 2, 0, 10), span(2, 1, 1, 9), span(3, 2, 2, 8))))
    assert len(grown.orphans) == 1
    assert len(grown.tops) == 1
    assert summary(Trace(TRACE, (span(1, 1, 0, 10),))).spans == 1


def test_a_tree_may_be_deep() -> None:
    spans = tuple(span(n, n - 1, n, 20_000 - n) for n in range(1, 5_000))
    assert summary(Trace(TRACE, spans)).total == 20_000 - 2


def test_a_call_that_begins_before_it_was_sent_shows_clocks_apart() -> None:
    behind = span(2, 1, -5 * MILLISECOND, 10 * MILLISECOND, "rag-embedder")
    [skew] = summary(Trace(TRACE, (span(1, 0, 0, 50 * MILLISECOND), behind))).skews
    assert (skew.process, skew.against) == ("rag-embedder", "rag-gateway")
    assert skew.nanoseconds == -5 * MILLISECOND


def test_a_call_that_begins_after_its_caller_ended_shows_clocks_apart() -> None:
    ahead = span(2, 1, 70 * MILLISECOND, 90 * MILLISECOND, "rag-embedder")
    [skew] = summary(Trace(TRACE, (span(1, 0, 0, 50 * MILLISECOND), ahead))).skews
    assert skew.nanoseconds == 20 * MILLISECOND


def test_one_process_has_one_clock() -> None:
    late = span(2, 1, 70 * MILLISECOND, 90 * MILLISECOND)
    assert not summary(Trace(TRACE, (span(1, 0, 0, 50 * MILLISECOND), late))).skews
