"""`rag trace`: one call's spans as a waterfall, from the local store, Tempo and Jaeger."""

import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, set_span_in_context
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from rag_cli.main import app
from rag_cli.observe.sources import parse_trace_id
from rag_cli.observe.spans import Span, Trace
from rag_cli.observe.summaries import shares, summary
from rag_cli.observe.tree import forest
from rag_local.monitoring import TraceEndpoints
from rag_local.trace_store import TraceStore, trace_store
from tests.support.client.threads import in_thread
from tests.support.observability.spans import chain

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
        result = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(result, dict) and result.keys() <= {TRACE, OTHER}:
            result = result.get(request.match_info["id"])
        if isinstance(result, web.Response):
            return result
        if result is None:
            return web.json_response({"data": None, "errors": [{"code": 404}]}, status=404)
        return web.json_response(result)

    with in_thread(running(path, handle)) as url:
        yield url


def shown(*replies: Any, words: Sequence[str] = ()) -> Result:
    """What the command says of a server's documents."""
    with answering(*replies) as url:
        return rag(TRACE, "--url", url, *words)


@asynccontextmanager
async def running(path: str, handle: Callable[[web.Request], Any]) -> AsyncIterator[int]:
    """A server of one path; its port."""
    application = web.Application()
    application.router.add_get(path, handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


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
    observed: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        observed.append(str(request.url))
        return web.Response(status=403)

    with in_thread(running("/{any:.*}", handle)) as proxy:
        for name in PROXIES:
            monkeypatch.setenv(name, proxy)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield observed


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
        assert TraceEndpoints({}, url=url).last("AnswerService/Ask") == TRACE
    assert proxied == []


def test_services_and_edge_send_their_spans_to_the_same_receiver() -> None:
    endpoints = TraceEndpoints.of("127.0.0.1:4317")
    assert endpoints.otlp == "127.0.0.1:4317"
    assert endpoints.settings == {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317"}
    assert TraceEndpoints.of("") == TraceEndpoints({})


def lines(result: Result, what: str) -> list[str]:
    return [line for line in result.stdout.splitlines() if what in line]


def test_a_call_through_several_processes_is_one_tree(store: TraceStore) -> None:
    trace_id = chain(f"grpc+{store.endpoint}", "gateway", "embedder", "retriever")
    result = rag(trace_id, "--url", store.url)
    assert result.exit_code == 0, result.stderr
    assert "5 spans · 3 services, 3 processes · 0 errors · 0 orphans" in result.stdout
    rows = [line[:30].rstrip() for line in lines(result, "Service/Call ") if line[:1] == "r"]
    assert rows == TREE


def test_a_caller_whose_span_is_kept_nowhere_is_named(store: TraceStore) -> None:
    parent = f"00-{TRACE}-b7ad6b7169203331-01"
    assert chain(f"grpc+{store.endpoint}", "gateway", parent=parent) == TRACE
    result = rag(parent, "--url", store.url, "--wait", "0")
    assert "0 orphans" in result.stdout
    assert "! its parent span b7ad6b7169203331 is missing" in result.stdout


def test_a_parent_that_never_arrived_is_named() -> None:
    spans = [tempo_span(1, 0, "Search", 0, 9), tempo_span(3, 2, "Embed", 2, 4)]
    result = shown(tempo(gateway=spans))
    assert "1 orphan" in result.stdout
    assert f"! orphan: the parent {span_id(2)} of rag-gateway Embed is missing" in result.stdout


@pytest.mark.parametrize(
    "document",
    [
        question(),
        {"trace": {"resourceSpans": question()["batches"]}, "metrics": {}},
        {"resourceSpans": question()["batches"]},
    ],
    ids=["first version", "second version", "OTLP"],
)
def test_tempos_forms_are_read_and_a_pipe_gets_plain_lines_of_a_hundred_cells(
    document: Any,
) -> None:
    result = shown(document)
    assert "total 100 ms · 3 spans · 2 services, 2 processes · 1 error · 0 orphans" in result.stdout
    assert lines(result, "UNAVAILABLE")[0].startswith("rag-embedder   EmbedderService/Embed")
    assert "error.type=" not in result.stdout
    assert "\x1b" not in result.stdout
    assert max(map(cell_len, result.stdout.splitlines())) <= 100
    assert lines(result, "! OVERLOADED: queue")
    assert lines(result, "* first_token at 50.0 ms")


def test_ids_in_hexadecimal_are_read_too() -> None:
    document = tempo(gateway=[tempo_span(1, 0, "auth", 0, 5)])
    [span] = document["batches"][0]["scopeSpans"][0]["spans"]
    span |= {"traceId": TRACE.upper(), "spanId": span_id(1), "kind": 1, "status": {"code": 2}}
    result = shown(document)
    assert "1 span ·" in result.stdout
    assert "1 error" in result.stdout


def jaeger() -> dict[str, Any]:
    """What Jaeger answers: times in microseconds, status and kind as tags, links as references."""

    def tag(key: str, value: Any, kind: str = "string") -> dict[str, Any]:
        return {"key": key, "type": kind, "value": value}

    def jaeger_span(
        number: int, name: str, start: int, duration: int, **more: Any
    ) -> dict[str, Any]:
        own = {"traceID": TRACE, "spanID": span_id(number), "processID": f"p{number}"}
        times = {"startTime": BEGIN // 1000 + start, "duration": duration}
        empty = {"references": [], "logs": [], "warnings": None}
        return {**own, "operationName": name, **times, **empty, **more}

    event = {"timestamp": BEGIN // 1000 + 50_000, "fields": [tag("event", "first_token")]}
    tags = [tag("span.kind", "server"), tag("rpc.response.status_code", "OK")]
    failed = [
        tag("error", True, "bool"),
        tag("otel.status_code", "ERROR"),
        tag("otel.status_description", "TimeoutError"),
    ]
    references = [
        {"refType": "CHILD_OF", "traceID": TRACE, "spanID": span_id(1)},
        {"refType": "FOLLOWS_FROM", "traceID": OTHER, "spanID": span_id(9)},
    ]
    more: dict[str, Any] = {"references": references, "warnings": ["clock skew"]}
    search = "rag.gateway.v1.AnswerService/Search"
    spans = [
        jaeger_span(1, search, 0, 100_000, tags=tags, logs=[event]),
        jaeger_span(2, "embed.batch", 20_000, 60_000, tags=failed, **more),
    ]
    processes = {
        "p1": {"serviceName": "rag-gateway", "tags": [tag("process.pid", 1, "int64")]},
        "p2": {"serviceName": "rag-embedder", "tags": [tag("process.pid", 2, "int64")]},
    }
    data = [{"traceID": TRACE, "spans": spans, "processes": processes, "warnings": None}]
    return {"data": data, "total": 0, "limit": 0, "offset": 0, "errors": None}


def test_jaegers_form_is_read() -> None:
    result = shown({TRACE: jaeger()})
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
    assert parse_trace_id(written) == TRACE


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
    assert "no trace" in shown(document, words=["--wait", "0"]).stderr


def test_it_waits_for_spans_that_are_on_their_way() -> None:
    whole = question(at=(time.time_ns() - BEGIN) / MILLISECOND)
    part = {"batches": whole["batches"][1:]}
    result = shown(None, part, whole, words=["--wait", "20"])
    assert "3 spans" in result.stdout
    assert "0 orphans" in result.stdout


def test_it_does_not_wait_for_what_is_long_past() -> None:
    whole = question()
    result = shown({"batches": whole["batches"][1:]}, whole, words=["--wait", "20"])
    assert "1 span ·" in result.stdout


def test_a_url_that_does_not_answer_is_named_without_its_password() -> None:
    result = rag(TRACE, "--url", "http://user:hunter2@127.0.0.1:1")
    assert result.exit_code == 1
    assert "127.0.0.1:1/api/traces/" in result.stderr
    assert "does not answer" in result.stderr
    assert "hunter2" not in result.stderr


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
    result = shown(reply)
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
    result = shown(tempo(edge=[ingress]))
    assert lines(result, "5.00 ms 503")
    assert lines(result, "! response flags UH")


def test_headers_are_sent() -> None:
    async def handle(request: web.Request) -> web.Response:
        known = request.headers.get("x-scope-orgid") == "team"
        return web.json_response(question() if known else {}, status=200 if known else 401)

    with in_thread(running("/api/traces/{id}", handle)) as url:
        assert rag(TRACE, "--url", url, "--header", "X-Scope-OrgID: team").exit_code == 0
        assert "answers 401" in rag(TRACE, "--url", url).stderr


def test_korean_names_keep_the_columns_in_line() -> None:
    spans = [
        tempo_span(1, 0, "질문에 답하기", 0, 100),
        tempo_span(2, 1, "문서에서 찾아 순위를 매기고 아주 긴 이름을 가진 단계" * 2, 0, 100),
        tempo_span(3, 1, "short", 0, 100),
    ]
    result = shown(tempo(gateway=spans))
    bars = [line for line in result.stdout.splitlines() if "====" in line]
    assert len({cell_len(line[: line.index("=")]) for line in bars}) == 1
    assert {cell_len(line) for line in bars} == {max(map(cell_len, bars))}


def test_a_name_cannot_move_the_cursor() -> None:
    result = shown(tempo(gateway=[tempo_span(1, 0, "a\x1b[2Jb\r\nc", 0, 1)]))
    assert "\x1b" not in result.stdout
    assert "a?[2Jb c" in result.stdout


def test_verbose_shows_the_attributes() -> None:
    assert "error.type=OVERLOADED" in shown(question(), words=["-v"]).stdout


def test_json_has_the_facts_and_every_span() -> None:
    document = json.loads(shown(question(), words=["--json"]).stdout)
    assert document["summary"]["total"] == 100 * MILLISECOND
    assert [span["span_id"] for span in document["spans"]] == [span_id(n) for n in (1, 2, 3)]


def test_a_request_shows_the_batch_of_another_trace_that_it_was_in() -> None:
    link = {"traceId": b64(OTHER), "spanId": b64(span_id(9))}
    mine = tempo(embedder=[tempo_span(1, 0, "embed.queue", 0, 50, links=[link])])
    batch = tempo_span(9, 8, "embed.batch", 10, 30, trace=OTHER)
    result = shown({TRACE: mine, OTHER: tempo(embedder=[batch])})
    assert lines(result, "~ embed.batch")
    assert lines(result, f"of trace {OTHER}")


def test_a_request_shows_the_batch_of_another_trace_that_says_so_itself(store: TraceStore) -> None:
    """Requests are linked by their batch, which cannot be told to them before it begins."""
    provider = TracerProvider(resource=Resource.create({"service.name": "rag-embedder"}))
    exporter = OTLPSpanExporter(endpoint=store.endpoint, insecure=True)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    requests = [tracer.start_span("embed.queue", Context()) for _ in range(32)]
    links = [Link(request.get_span_context()) for request in requests]
    first = set_span_in_context(requests[0])
    tracer.start_span("embed.batch", first, links=links).end()
    for request in requests:
        request.end()
    provider.shutdown()
    last = f"{requests[-1].get_span_context().trace_id:032x}"
    result = rag(last, "--url", store.url)
    assert lines(result, "~ embed.batch")
    assert lines(result, f"of trace {requests[0].get_span_context().trace_id:032x}")


def test_a_batch_names_how_many_requests_it_was_for() -> None:
    links = [{"traceId": b64(f"{n:032x}"), "spanId": b64(span_id(n))} for n in range(1, 33)]
    batch = tempo(embedder=[tempo_span(1, 0, "embed.batch", 0, 5, links=links)])
    [line] = lines(shown({TRACE: batch}), "linked with")
    assert "32 spans of trace" in line


def test_a_link_within_the_trace_is_named() -> None:
    links = [{"traceId": b64(TRACE), "spanId": b64(span_id(1))}]
    spans = [
        tempo_span(1, 0, "embed.queue", 0, 5),
        tempo_span(2, 1, "embed.batch", 1, 2, links=links),
    ]
    assert lines(shown(tempo(embedder=spans)), "~ linked with embed.queue")


def test_a_trace_that_the_store_has_in_part_says_so() -> None:
    document = {
        "trace": {"resourceSpans": question()["batches"]},
        "status": "PARTIAL",
        "message": "too large",
    }
    assert "! incomplete trace: too large" in shown(document).stdout


def span(
    number: int, parent: int, start: int, end: int, service: str = "rag-gateway", **more: Any
) -> Span:
    """A span named by its number; times in nanoseconds."""
    inputs: Mapping[str, Any] = {
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
    return Span(*own, start=start, end=end, **inputs)


def path(*spans: Span) -> dict[str, int]:
    return {share.name: share.nanoseconds for share in shares(forest(Trace(TRACE, spans)).tops)}


def test_the_critical_path_is_what_the_end_waited_for() -> None:
    first, second = span(2, 1, 10, 40), span(3, 1, 20, 90)
    assert path(span(1, 0, 0, 100), first, second) == {"s3": 70, "s1": 20, "s2": 10}
    unrelated = span(2, 9, 30, 40)
    assert path(span(1, 0, 0, 10), unrelated) == {"s1": 10, "s2": 10, "(no span)": 20}


def test_the_critical_path_sums_to_the_whole_time() -> None:
    times = [(1, 0, 0, 100), (2, 1, 10, 60), (3, 1, 30, 200), (4, 2, 80, 150), (5, 99, 250, 300)]
    shares_by_name = path(*(span(*one) for one in times))
    assert sum(shares_by_name.values()) == 300
    assert shares_by_name["(no span)"] == 150


def test_parents_in_a_circle_are_shown_once_each() -> None:
    grown = forest(Trace(TRACE, (span(1, 2, 0, 10), span(2, 1, 1, 9), span(3, 2, 2, 8))))
    assert len(grown.orphans) == 1
    assert len(grown.tops) == 1
    assert summary(Trace(TRACE, (span(1, 1, 0, 10),))).spans == 1


def test_a_tree_may_be_deep() -> None:
    spans = tuple(span(n, n - 1, n, 20_000 - n) for n in range(1, 5_000))
    assert summary(Trace(TRACE, spans)).total == 20_000 - 2


@pytest.mark.parametrize(
    ("start", "end", "service", "skews"),
    [
        (-5, 10, "rag-embedder", [-5]),
        (70, 90, "rag-embedder", [20]),
        (70, 90, "rag-gateway", []),
    ],
    ids=["begins before it was sent", "begins after its caller ended", "in one process"],
)
def test_a_call_outside_of_its_callers_time_shows_clocks_apart(
    start: int, end: int, service: str, skews: list[int]
) -> None:
    caller = span(1, 0, 0, 50 * MILLISECOND)
    callee = span(2, 1, start * MILLISECOND, end * MILLISECOND, service)
    result = summary(Trace(TRACE, (caller, callee))).skews
    assert [skew.nanoseconds for skew in result] == [skew * MILLISECOND for skew in skews]
    assert {(skew.process, skew.against) for skew in result} <= {(service, "rag-gateway")}
