"""One question, one trace: through Envoy and all services to a real collector, however the call ends."""

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from rag_contract.status import from_rpc_error
from rag_local.backends.envoy import edge
from tests.e2e.callers import Caller, refused
from tests.e2e.model import NAME as GATED
from tests.e2e.model import GatedModel, served
from tests.e2e.platform import Platform
from tests.e2e.test_edge_platform import Issuer, ready
from tests.support.edge.fixtures import QUIET, Setting
from tests.support.observability.rotel import rotel
from tests.support.receiver import Receiver, attributes
from tests.support.waiting import until

SERVICES = ("edge", "gateway", "embedder", "retriever", "generator")
QUESTION = "연차휴가는 며칠까지 이월할 수 있나요?"
TEXT = "# 휴가\n\n연차휴가는 다음 해로 5일까지 이월할 수 있습니다. 비밀표지 안내."
CAPTURED = "문의 전화 010-1234-5678로 출장비를 물어봅니다"
SECONDS = 30.0


@dataclass
class Traced:
    """The platform behind its edge, and what the collector passes on."""

    platform: Platform
    setting: Setting
    receiver: Receiver

    async def trace(self, trace_id: str, *services: str) -> "Trace":
        """The spans of a trace, once it has some of every service named and its root has ended."""
        await until(
            lambda: self._whole(trace_id, services),
            f"spans of {trace_id} from {services}",
            seconds=SECONDS,
        )
        return self._found(trace_id)

    def _whole(self, trace_id: str, services: Sequence[str]) -> bool:
        result = self._found(trace_id)
        return set(services) <= set(result.by_service) and not result.orphans

    def _found(self, trace_id: str) -> "Trace":
        names = [f"rag-{name}" for name in (*SERVICES, "ingestor")]
        return Trace(
            {
                name.removeprefix("rag-"): spans
                for name in names
                if (
                    spans := [
                        span
                        for span in self.receiver.spans(name)
                        if span.trace_id.hex() == trace_id
                    ]
                )
            }
        )


@dataclass
class Trace:
    """The spans of one trace."""

    by_service: dict[str, list[Span]]

    @property
    def spans(self) -> list[Span]:
        return [span for spans in self.by_service.values() for span in spans]

    @property
    def roots(self) -> list[Span]:
        return [span for span in self.spans if not span.parent_span_id]

    @property
    def orphans(self) -> list[str]:
        ids = {span.span_id for span in self.spans}
        return [s.name for s in self.spans if s.parent_span_id and s.parent_span_id not in ids]

    def one(self, service: str, name: str) -> Span:
        [result] = [span for span in self.by_service[service] if span.name == name]
        return result


@pytest_asyncio.fixture(scope="module")
async def model() -> AsyncIterator[GatedModel]:
    async with served(GatedModel()) as result:
        yield result


@pytest.fixture(scope="module")
def traced(
    tmp_path_factory: pytest.TempPathFactory, models: Path, model: GatedModel
) -> Iterator[Traced]:
    home = tmp_path_factory.mktemp("traced") / "home"
    home.mkdir()
    with rotel(home.parent) as (address, receiver):
        environment = {
            "EMBEDDER_MODELS_DIR": str(models),
            **model.environment,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{address}",
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "GATEWAY_ADDRESS_HEADER": "x-envoy-external-address",
        }
        with Platform(home, environment) as platform:
            gateway = platform.specs["gateway"]
            values = replace(
                QUIET,
                otlp=address,
                gateways=(f"127.0.0.1:{gateway.port}",),
                pages=(f"127.0.0.1:{gateway.http_port}",),
            )
            with edge(home, values) as front:
                setting = Setting(front, None, Issuer(platform))  # type: ignore[arg-type]
                yield Traced(platform, setting, receiver)


@pytest_asyncio.fixture
async def caller(traced: Traced, tenant: str) -> AsyncIterator[Caller]:
    async with traced.setting.channel() as channel:
        result = Caller(channel, traced.platform.token(tenant))
        await result.ingest("휴가", TEXT)
        yield result


def continued(caller: Caller, **headers: str) -> tuple[Caller, str]:
    """A caller whose calls belong to a trace of its own, and the id of the trace."""
    trace_id = secrets.token_hex(16)
    traced = Caller(caller.channel, "")
    traceparent = ("traceparent", f"00-{trace_id}-{secrets.token_hex(8)}-01")
    traced.metadata = (*caller.metadata, traceparent, *headers.items())
    return traced, trace_id


async def test_a_question_through_the_edge_is_one_tree_over_five_processes(
    traced: Traced, caller: Caller
) -> None:
    reply = await caller.ask(QUESTION)
    trace = await traced.trace(reply.trace_id, *SERVICES)
    assert len(trace.roots) == 1
    assert trace.roots[0] in trace.by_service["edge"]
    assert not trace.orphans
    names = {service: {s.name for s in spans} for service, spans in trace.by_service.items()}
    assert {"auth", "limits", "rag.gateway.v1.AnswerService/Answer"} <= names["gateway"]
    assert {"embed.queue", "embed.batch"} <= names["embedder"]
    assert any(
        attributes(s).get("db.system.name") == "qdrant" for s in trace.by_service["retriever"]
    )
    assert len(names["generator"]) >= 2


async def test_a_stream_is_one_span_with_its_first_words_and_its_end(
    traced: Traced, caller: Caller
) -> None:
    events = await caller.events(QUESTION)
    trace = await traced.trace(events[0].started.trace_id, *SERVICES)
    span = trace.one("gateway", "rag.gateway.v1.AnswerService/StreamAnswer")
    assert [event.name for event in span.events] == ["first_event", "first_token", "end"]
    assert attributes(span)["rpc.response.status_code"] == "OK"


async def test_a_trace_and_its_state_are_continued_through_the_edge(
    traced: Traced, caller: Caller
) -> None:
    state = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
    asking, trace_id = continued(caller, tracestate=state)
    assert (await asking.search(QUESTION)).trace_id == trace_id
    await until(
        lambda: {"edge", "gateway", "retriever"} <= traced._found(trace_id).by_service.keys(),
        "spans come",
    )
    trace = traced._found(trace_id)
    assert trace.orphans == [span.name for span in trace.by_service["edge"]]
    inner = [*trace.by_service["gateway"], *trace.by_service["retriever"]]
    assert {span.trace_state for span in inner} == {state}


async def test_one_id_is_in_the_reply_and_in_a_sent_line_of_every_service(
    traced: Traced, caller: Caller
) -> None:
    reply = await caller.ask(QUESTION)
    await traced.trace(reply.trace_id, *SERVICES)
    for service in SERVICES[1:]:
        await until(
            lambda service=service: any(  # type: ignore[misc]
                line.trace_id.hex() == reply.trace_id
                for line in traced.receiver.lines(f"rag-{service}")
            ),
            f"a line of {service} comes",
        )
    await until(
        lambda: reply.trace_id in traced.setting.edge.access_log.read_text(), "the edge's line"
    )


async def test_exemplars_name_traces(traced: Traced, caller: Caller) -> None:
    reply = await caller.search(QUESTION)
    async with traced.setting.http() as _:
        port = traced.platform.specs["gateway"].http_port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        page = (await reader.read()).decode()
        writer.close()
    result = re.findall(
        r'rag_stage_duration_seconds_bucket\{.*# \{.*trace_id="([0-9a-f]{32})"', page
    )
    assert reply.trace_id in result


async def test_an_error_has_its_trace_and_its_reason(traced: Traced, caller: Caller) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await caller.ask(QUESTION, generation={"model": "nobody"})
    error = from_rpc_error(raised.value)
    trace = await traced.trace(error.metadata["trace_id"], *SERVICES)
    span = trace.one("gateway", "rag.gateway.v1.AnswerService/Answer")
    assert attributes(span)["error.type"] == error.reason
    assert attributes(span)["rpc.response.status_code"] == raised.value.code().name
    [client] = [s for s in trace.by_service["gateway"] if s.name.endswith("/Generate")]
    assert client.status.code == Status.STATUS_CODE_ERROR


async def test_a_call_that_is_cancelled_closes_every_span(
    traced: Traced, caller: Caller, model: GatedModel
) -> None:
    call = caller.stream(QUESTION, generation={"model": GATED})
    trace_id = ""
    async for event in call:
        trace_id = trace_id or event.started.trace_id
        if event.HasField("delta"):
            break
    call.cancel()
    trace = await traced.trace(trace_id, *SERVICES)
    span = trace.one("gateway", "rag.gateway.v1.AnswerService/StreamAnswer")
    assert attributes(span)["rpc.response.status_code"] == "CANCELLED"
    [server] = [s for s in trace.by_service["generator"] if s.name.endswith("/StreamGenerate")]
    assert attributes(server)["rpc.response.status_code"] == "CANCELLED"
    assert any(
        attributes(s).get("gen_ai.request.model") == GATED for s in trace.by_service["generator"]
    )
    assert all(span.end_time_unix_nano for span in trace.spans)


async def test_no_word_of_question_passage_or_answer_and_no_token_leaves(
    traced: Traced, caller: Caller
) -> None:
    reply = await caller.ask(QUESTION)
    await traced.trace(reply.trace_id, *SERVICES)
    sent = traced.receiver.bytes()
    for secret in (QUESTION, "이월", "비밀표지", reply.text, caller.metadata[0][1]):
        assert secret.encode() not in sent
    assert json.dumps(QUESTION)[1:-1].encode() not in sent


async def test_a_document_is_one_trace_with_the_worker_that_read_it(
    traced: Traced, caller: Caller
) -> None:
    ingesting, trace_id = continued(caller)
    await ingesting.ingest("안내", TEXT + " 더.")
    services = {"edge", "gateway", "ingestor", "embedder", "retriever"}
    await until(lambda: services <= set(traced._found(trace_id).by_service), "its spans come")
    await until(
        lambda: any(s.name == "split" for s in traced._found(trace_id).by_service["ingestor"]),
        "the worker's span comes",
    )


async def test_a_document_that_is_not_there_yet_is_no_error_of_any_span(
    traced: Traced, caller: Caller
) -> None:
    """Tail sampling keeps every trace with an error: that of each new document would be one."""
    first = await caller.ingest("새 문서", TEXT)
    again = await caller.ingest("새 문서", TEXT + " 더.")
    absent = [
        (await refused(call)).trace_id
        for call in (
            caller.get("없음"),
            caller.passages("없음"),
            caller.delete("없음"),
            caller.get("새 문서", collection="elsewhere"),
        )
    ]
    for trace_id in (first.trace_id, again.trace_id, *absent):
        trace = await traced.trace(trace_id, "edge", "gateway", "ingestor", "retriever")
        failed = [s.name for s in trace.spans if s.status.code == Status.STATUS_CODE_ERROR]
        assert failed == []
    requested = trace.one("ingestor", "rag.retriever.v1.RetrieverService/GetDocument")
    assert attributes(requested)["rpc.response.status_code"] == "NOT_FOUND"


async def test_with_the_switch_a_span_has_the_question_redacted(
    traced: Traced,
) -> None:
    """The caller has no documents: spans of other tests' documents must hold none of their words."""
    await asyncio.to_thread(traced.platform.restart, "gateway", GATEWAY_CAPTURE="redacted")
    await until(lambda: ready(traced.setting), "the edge finds the gateway again")
    try:
        async with traced.setting.channel() as channel:
            reply = await Caller(channel, traced.platform.token("captured")).ask(CAPTURED)
        trace = await traced.trace(reply.trace_id, "gateway")
    finally:
        await asyncio.to_thread(traced.platform.restart, "gateway")
        await until(lambda: ready(traced.setting), "the edge finds the gateway again")
    span = trace.one("gateway", "rag.gateway.v1.AnswerService/Answer")
    question: Any = attributes(span)["rag.question"]
    assert "출장비" in question
    assert "1234" not in question
