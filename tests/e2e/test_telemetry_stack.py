"""The shipped stack, started for real: what the platform sends arrives whole, and personal data does not."""

import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from rag_contract.status import from_rpc_error
from tests.e2e.callers import Caller
from tests.e2e.platform import Platform
from tests.support.observability import strangers
from tests.support.observability.stack import PROGRAMS, Collector, Stack, collector, stack
from tests.support.observability.strangers import Span
from tests.support.parts import server
from tests.support.waiting import until
from tests.unit.common.test_redaction import MARKS

SERVICES = ("gateway", "embedder", "retriever", "generator")
# What a trace waits for the decision about it, in place of the shipped 35 s.
WAIT = {"COLLECTOR_DECISION_WAIT": "3s"}
SHARE = 25
# Words that are in what is sent, and arrive where content may.
CONTROL = "대조 문장"
PERSONAL = {label: marks[0] for label, marks in MARKS.items()}
QUESTION = "연차휴가는 며칠까지 이월할 수 있나요? " + " ".join(PERSONAL.values())
DOCUMENT = f"# 휴가\n\n연차휴가는 5일까지 이월합니다.\n\n담당자: {' '.join(PERSONAL.values())}\n"


@dataclass(frozen=True, slots=True)
class Calls:
    """Ids of the traces of what was called, the last of which a caller began, and the caller's token."""

    answered: str
    failed: str
    continued: str
    token: str


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    for program in PROGRAMS:
        server(*program)
    with stack(tmp_path_factory.mktemp("stack"), **WAIT) as running:
        yield running


@pytest.fixture(scope="module")
def sampling(whole: Stack) -> Iterator[Collector]:
    """A second collector of the shipped file: it keeps a share, and lets content pass."""
    settings = {**WAIT, "COLLECTOR_SHARE": str(SHARE), "COLLECTOR_CAPTURE": "on"}
    with collector(whole.folder / "sampling", whole.addresses, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def front(whole: Stack, sampling: Collector) -> Iterator[Collector]:
    """A collector as it stands in front of replicas, of which `sampling` is the only one."""
    replica = sampling.endpoint.rpartition(":")[2]
    settings = {"COLLECTOR_REPLICAS": "localhost", "COLLECTOR_REPLICAS_PORT": replica}
    file = "loadbalancing.yaml"
    with collector(whole.folder / "front", {}, file, **settings) as running:
        yield running


@dataclass(frozen=True, slots=True)
class Sent:
    """What others than the platform sent.

    `uncaptured` and `harmless` to the first collector, `personal` to the one in front of the second,
    the others to the second.
    """

    boring: list[Span]
    special: list[Span]
    captured: Span
    uncaptured: Span
    harmless: Span
    personal: dict[str, bytes]


@pytest.fixture(scope="module")
def sent(whole: Stack, sampling: Collector, front: Collector) -> Sent:
    """Sent before the platform starts: the collectors decide meanwhile."""
    content = {"rag.question": strangers.text(CONTROL), "rag.mode": strangers.text("hybrid")}
    created = Sent(
        boring=[Span() for _ in range(60)],
        special=[
            Span(failed=True),
            Span(seconds=1.5),
            Span(attributes={"rag.degraded": strangers.text("reranker")}),
        ],
        captured=Span(failed=True, attributes=content),
        uncaptured=Span(failed=True, attributes=content),
        harmless=Span(failed=True, attributes=strangers.harmless()),
        personal={label: secrets.token_bytes(16) for label in PERSONAL},
    )
    strangers.send_spans(sampling.endpoint, [*created.boring, *created.special, created.captured])
    strangers.send_spans(whole.collector.endpoint, [created.uncaptured, created.harmless])
    for label, trace_id in created.personal.items():
        strangers.send_everywhere(front.endpoint, trace_id, f"{CONTROL} {PERSONAL[label]}")
    return created


@pytest.fixture(scope="module")
def platform(
    whole: Stack,
    sent: Sent,
    tmp_path_factory: pytest.TempPathFactory,
    models: Path,
) -> Iterator[Platform]:
    environment = {
        "EMBEDDER_MODELS_DIR": str(models),
        "GATEWAY_CAPTURE": "redacted",
        "OTEL_EXPORTER_OTLP_ENDPOINT": whole.collector.endpoint,
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_BLRP_SCHEDULE_DELAY": "100",
    }
    with Platform(tmp_path_factory.mktemp("platform"), environment) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def calls(platform: Platform) -> AsyncIterator[Calls]:
    """A document, an answer and a call that fails, each with personal data in all that a caller writes."""
    token = platform.token("acme")
    async with grpc.aio.insecure_channel(platform.target) as channel:
        caller = Caller(channel, token)
        await caller.ingest("휴가", DOCUMENT, filename=f"{PERSONAL['email']}.md")
        answer = await caller.ask(QUESTION)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await caller.ask(QUESTION, generation={"model": PERSONAL["email"]})
        with pytest.raises(grpc.aio.AioRpcError):
            await caller.get(PERSONAL["phone"])
        failed = from_rpc_error(raised.value).metadata["trace_id"]
        continued = secrets.token_hex(16)
        headers = {
            "traceparent": f"00-{continued}-{secrets.token_hex(8)}-01",
            "tracestate": f"a={PERSONAL['phone']},b={PERSONAL['email']}",
            "accept-language": f"ko, {PERSONAL['resident-number']}",
        }
        await Caller(channel, token, extra=tuple(headers.items())).search(QUESTION)
        yield Calls(answer.trace_id, failed, continued, token)


async def test_a_collector_starts_without_a_warning(whole: Stack, front: Collector) -> None:
    logs = [one.log.read_text("utf-8") for one in (whole.collector, front)]
    assert logs == ["", ""]


async def test_what_is_kept_is_kept_for_as_long_as_the_readme_says(whole: Stack) -> None:
    tempo, loki = whole.configuration("tempo"), whole.configuration("loki")
    scheduler = tempo["backend_scheduler"]["provider"]["compaction"]["compaction"]
    worker = tempo["backend_worker"]["compaction"]
    assert {part["block_retention"] for part in (scheduler, worker)} == {"72h0m0s"}
    assert (loki["limits_config"]["retention_period"], loki["compactor"]["retention_enabled"]) == (
        "1w",
        True,
    )
    retention = whole.prometheus.request("status/runtimeinfo")["storageRetention"]
    assert retention in ("15d or 8GB", "15d or 8GiB")


@pytest.mark.parametrize("kind", ["answered", "failed"])
async def test_a_call_is_one_whole_trace_over_the_services(
    whole: Stack, calls: Calls, kind: str
) -> None:
    trace_id = getattr(calls, kind)
    await until(lambda: complete(whole, trace_id), f"the trace of a call that {kind}", seconds=30)
    roots = [span for span in spans(whole, trace_id) if not span.get("parentSpanId")]
    assert [span["name"] for span in roots] == ["rag.gateway.v1.AnswerService/Answer"]


def complete(whole: Stack, trace_id: str) -> bool:
    """Whether each service has spans in Tempo, and each span its parent."""
    services = {
        attribute["value"]["stringValue"]
        for group in whole.trace(trace_id)
        for attribute in group["resource"]["attributes"]
        if attribute["key"] == "service.name"
    }
    result = spans(whole, trace_id)
    known = {span["spanId"] for span in result} | {None}
    orphans = [span for span in result if span.get("parentSpanId") not in known]
    return services == {f"rag-{name}" for name in SERVICES} and not orphans


def spans(whole: Stack, trace_id: str) -> list[dict[str, Any]]:
    scopes = [scope for group in whole.trace(trace_id) for scope in group["scopeSpans"]]
    return [span for scope in scopes for span in scope["spans"]]


async def test_the_lines_of_each_service_are_found_by_their_trace(
    whole: Stack, calls: Calls
) -> None:
    query = f'{{service_namespace="rag"}} | trace_id="{calls.answered}"'
    expected = {f"rag-{name}" for name in SERVICES}
    await until(
        lambda: {one["stream"]["service_name"] for one in whole.lines(query)} == expected,
        "lines of each service",
        seconds=30,
    )


async def test_each_service_has_its_metrics_in_prometheus(whole: Stack, calls: Calls) -> None:
    for service in SERVICES:
        query = f'rag_rpc_server_duration_seconds_count{{service="{service}",code="OK"}} > 0'
        await until(
            lambda query=query: whole.prometheus.query(query),  # type: ignore[misc]
            f"metrics of {service}",
            seconds=30,
        )


async def test_what_is_shipped_to_prometheus_includes_its_rules(whole: Stack) -> None:
    groups = whole.prometheus.request("rules")["groups"]
    assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}
    assert {"rag-slo-availability", "rag-burn-availability"} <= {one["name"] for one in groups}


async def test_failed_slow_and_degraded_traces_are_kept_and_a_share_of_the_others(
    whole: Stack, sampling: Collector, sent: Sent
) -> None:
    decided = "otelcol_processor_tail_sampling_global_count_traces_sampled"
    failed = [*sent.special, sent.captured, *sent.personal]
    await until(
        lambda: sampling.count(decided) == len([*sent.boring, *failed]), "decisions", seconds=30
    )
    share = sampling.count(decided, sampled="true") - len(failed)
    assert 0 < share < len(sent.boring) / 2
    for span in sent.special:
        await until(lambda span=span: kept(whole, span), f"{span}", seconds=30)  # type: ignore[misc]
    await until(lambda: sum(kept(whole, one) for one in sent.boring) == share, "the share")


def kept(whole: Stack, span: Span) -> bool:
    return bool(whole.trace(span.trace_id.hex()))


async def test_what_callers_write_of_persons_is_nowhere(whole: Stack, calls: Calls) -> None:
    await until(lambda: complete(whole, calls.answered), "the answer's trace", seconds=30)
    await until(lambda: complete(whole, calls.failed), "the failed trace", seconds=30)
    await until(lambda: whole.trace(calls.continued), "the trace of another's", seconds=30)
    hidden = {**PERSONAL, "token of the caller": calls.token}
    ids = (calls.answered, calls.failed, calls.continued)
    for place, content in everything(whole, *ids).items():
        assert "acme" in content or place == "prometheus", "nothing of the calls arrived"
        assert [label for label, mark in hidden.items() if mark in content] == [], place
        assert "이월" not in content, f"content of a call in {place}"


async def test_what_others_write_of_persons_is_masked_wherever_it_stands(
    whole: Stack, sent: Sent
) -> None:
    ids = [trace_id.hex() for trace_id in sent.personal.values()]
    await until(lambda: all(whole.trace(one) for one in ids), "the traces", seconds=30)
    await until(lambda: len(entries(whole)) == 4 * len(ids), "the lines", seconds=30)
    metric = f'stranger_calls_total{{control="arrived",place=~"{CONTROL}.*"}}'
    await until(lambda: whole.prometheus.query(metric), "the metric", seconds=30)
    for place, content in everything(whole, *ids).items():
        assert CONTROL in content, place
        assert [label for label, mark in PERSONAL.items() if mark in content] == [], place


def entries(whole: Stack) -> list[Any]:
    result = whole.lines(f'{{service_name="{strangers.SERVICE}"}}')
    return [value for stream in result for value in stream["values"]]


async def test_content_passes_only_if_capture_is_on(whole: Stack, sent: Sent) -> None:
    for span, passes in ((sent.captured, True), (sent.uncaptured, False)):
        await until(lambda span=span: kept(whole, span), "the trace", seconds=30)  # type: ignore[misc]
        content = json.dumps(whole.trace(span.trace_id.hex()), ensure_ascii=False)
        assert ("hybrid" in content, CONTROL in content) == (True, passes)


async def test_numbers_and_lists_that_are_nobody_s_pass_as_they_are(
    whole: Stack, sent: Sent
) -> None:
    await until(lambda: kept(whole, sent.harmless), "the trace", seconds=30)
    [result] = spans(whole, sent.harmless.trace_id.hex())
    assert {one["key"]: one["value"] for one in result["attributes"]} == {
        "rag.tokens": {"intValue": "1795368459123"},
        "rag.confidence": {"doubleValue": 0.9001011234567},
        "rag.stage": {"arrayValue": {"values": [{"stringValue": "search"}]}},
    }


async def test_loki_writes_to_the_folder_that_is_mounted(whole: Stack, calls: Calls) -> None:
    await until(lambda: whole.lines('{service_namespace="rag"}'), "lines", seconds=30)
    whole.flush()
    chunks = whole.folder / "loki" / "chunks"
    await until(lambda: [one for one in chunks.rglob("*") if one.is_file()], "a chunk", seconds=30)


async def test_a_search_finds_the_trace(whole: Stack, calls: Calls) -> None:
    query = '{ resource.service.name = "rag-gateway" && status = error }'
    await until(lambda: calls.failed in whole.search(query), "a search finds it", seconds=30)


async def test_the_map_of_services_is_made_of_the_traces(whole: Stack, calls: Calls) -> None:
    query = 'traces_service_graph_request_total{client="rag-gateway",server="rag-retriever"} > 0'
    await until(lambda: whole.prometheus.query(query), "an edge of the map", seconds=60)


def everything(whole: Stack, *trace_ids: str) -> dict[str, str]:
    """All that the three stores show: these traces, every line, and every series."""
    readers: dict[str, Callable[[], Any]] = {
        "tempo": lambda: [whole.trace(trace_id) for trace_id in trace_ids],
        "loki": lambda: whole.lines('{service_name=~".+"}'),
        "prometheus": lambda: whole.prometheus.request("series", **{"match[]": '{__name__=~".+"}'}),
    }
    return {place: json.dumps(read(), ensure_ascii=False) for place, read in readers.items()}
