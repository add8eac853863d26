"""What the generator tells of its answers: over a real channel, to a real receiver, of a scripted server."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from rag.generator.v1 import generator_service_pb2 as pb
from tests.support.generator.neighbour import Reply, finish, refusal, serving, usage, words
from tests.support.generator.service import MODEL, asked, receiving, running, scored, span
from tests.support.receiver import Receiver, attributes

GENERATE = "rag.generator.v1.GeneratorService/Generate"
STREAM = "rag.generator.v1.GeneratorService/StreamGenerate"
CHAT = f"chat {MODEL}"
WORDS = words("연차 휴가는 한 해에 ", "15일을 준다 [1].")
GOOD = Reply(events=(*WORDS, usage(11, 7), *finish("stop")))
HANGING = Reply(events=WORDS, then="hang")
WEAK = {"passages": [scored("구내식당은 열두 시에 문을 연다.", 0.1)]}


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving(monkeypatch) as result:
        yield result


def events(of: Span) -> list[str]:
    return [event.name for event in of.events]


# Spans


async def test_a_call_of_a_model_is_a_span_by_the_conventions(receiver: Receiver) -> None:
    async with serving(GOOD) as server, running(server.url) as generator:
        await generator.ask()
        chat, call = await span(receiver, CHAT), await span(receiver, GENERATE)
    assert events(chat) == ["first_token"]
    # Sampled, and of a random trace id.
    assert server.heads[0]["traceparent"] == f"00-{chat.trace_id.hex()}-{chat.span_id.hex()}-03"
    assert (chat.kind, chat.parent_span_id) == (Span.SPAN_KIND_CLIENT, call.span_id)
    assert chat.status.code == Status.STATUS_CODE_UNSET
    assert attributes(chat) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": MODEL,
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 11,
        "gen_ai.usage.output_tokens": 7,
        "server.address": "127.0.0.1",
        "server.port": int(server.url.split(":")[2].removesuffix("/v1")),
    }


async def test_each_further_try_is_noted_and_counted(receiver: Receiver) -> None:
    replies = (refusal(500), refusal(503), GOOD)
    async with serving(*replies) as server, running(server.url) as generator:
        assert await generator.value("rag_generate_retries_total", model=MODEL) == 0
        await generator.ask()
        chat = await span(receiver, CHAT)
        assert await generator.value("rag_generate_retries_total", model=MODEL) == 2
    assert events(chat) == ["retry", "retry", "first_token"]
    assert attributes(chat.events[0]) == {"error.type": "InternalServerError"}
    assert attributes(chat)["http.request.resend_count"] == 2
    assert chat.status.code == Status.STATUS_CODE_UNSET
    assert {head["traceparent"] for head in server.heads} == {server.heads[0]["traceparent"]}


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (refusal(500), "DEPENDENCY_DOWN"),
        (refusal(413), "INPUT_TOO_LONG"),
        (Reply(events=WORDS, then="cut"), "DEPENDENCY_DOWN"),
        (Reply(events=WORDS), "DEPENDENCY_DOWN"),
        (HANGING, "BUDGET_EXHAUSTED"),
    ],
    ids=["refused", "too long", "cut", "no end", "silent"],
)
async def test_a_call_that_fails_says_why(receiver: Receiver, reply: Reply, reason: str) -> None:
    quick: dict[str, Any] = {"openai_retries": 0, "openai_silence_timeout": 0.3, "fallback": False}
    async with serving(reply) as server, running(server.url, **quick) as generator:
        with pytest.raises(grpc.aio.AioRpcError):
            await generator.ask()
        chat = await span(receiver, CHAT)
        labels = {"system": "llm", "operation": "chat", "error": reason}
        await generator.counted("rag_dependency_duration_seconds_count", **labels)
        labels = {"model": MODEL, "outcome": "failed"}
        await generator.counted("rag_generate_duration_seconds_count", **labels)
    assert chat.status.code == Status.STATUS_CODE_ERROR
    assert chat.status.message == attributes(chat)["error.type"] == reason
    assert b"SECRET" not in receiver.bytes()


@pytest.mark.parametrize("reply", [HANGING, Reply(then="hang")], ids=["in the middle", "before"])
async def test_a_client_that_hangs_up_ends_the_span_of_the_model(
    receiver: Receiver, reply: Reply
) -> None:
    async with serving(reply) as server, running(server.url) as generator:
        call = generator.stub.StreamGenerate(asked(pb.StreamGenerateRequest))
        reading = aiter(call)
        if reply.events:
            await anext(reading)
        await server.asked.wait()
        call.cancel()
        await server.left.wait()
        # It is still serving: nothing but the hanging up has ended these.
        chat, served = await span(receiver, CHAT), await span(receiver, STREAM)
        labels = {"system": "llm", "operation": "chat", "error": "CANCELLED"}
        await generator.counted("rag_dependency_duration_seconds_count", **labels)
        labels = {"model": MODEL, "outcome": "cancelled"}
        await generator.counted("rag_generate_duration_seconds_count", **labels)
    assert chat.parent_span_id == served.span_id
    assert (chat.status.code, chat.status.message) == (Status.STATUS_CODE_ERROR, "CANCELLED")
    assert events(chat) == (["first_token"] if reply.events else [])
    assert attributes(served)["rpc.response.status_code"] == "CANCELLED"


async def test_quoting_is_one_small_span(receiver: Receiver) -> None:
    async with running() as generator:
        reply = await generator.ask("extractive")
        extract, call = await span(receiver, "extract"), await span(receiver, GENERATE)
    assert extract.parent_span_id == call.span_id
    reported = attributes(extract)
    assert reported.pop("rag.confidence") == pytest.approx(reply.confidence)
    assert reported == {"rag.passages": 1}
    assert len(receiver.spans("rag-generator")) == 2


async def test_quoting_in_a_models_stead_is_seen_and_counted(receiver: Receiver) -> None:
    quick = {"openai_retries": 0}
    async with serving(refusal(500)) as server, running(server.url, **quick) as generator:
        assert await generator.value("rag_generate_fallbacks_total", model=MODEL) == 0
        assert list((await generator.ask()).degraded) == ["language_model"]
        chat, call = await span(receiver, CHAT), await span(receiver, GENERATE)
        assert await generator.value("rag_generate_fallbacks_total", model=MODEL) == 1
        for model, outcome in ((MODEL, "failed"), ("extractive", "answered")):
            labels = {"model": model, "outcome": outcome}
            assert await generator.value("rag_generate_duration_seconds_count", **labels) == 1
    assert chat.status.code == Status.STATUS_CODE_ERROR
    assert (events(call), call.status.code) == (["fallback"], Status.STATUS_CODE_UNSET)
    assert (await span(receiver, "extract")).parent_span_id == call.span_id


# Metrics


@pytest.mark.parametrize(
    ("reply", "given", "outcome", "first"),
    [
        (GOOD, {}, "answered", 1),
        (Reply(events=(*WORDS, *finish("length"))), {}, "cut_short", 1),
        (Reply(events=(*words("회장은 김철수이다 [1]."), *finish("stop"))), {}, "ungrounded", 1),
        (GOOD, {"passages": []}, "no_passages", None),
        (GOOD, WEAK, "weak_evidence", None),
    ],
    ids=["answered", "cut short", "ungrounded", "no passages", "weak evidence"],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_is_measured_by_how_it_ended(
    reply: Reply, given: dict[str, Any], outcome: str, first: float | None, streamed: bool
) -> None:
    async with serving(reply) as server, running(server.url) as generator:
        if streamed:
            request = asked(pb.StreamGenerateRequest, **given)
            _ = [event async for event in generator.stub.StreamGenerate(request)]
        else:
            await generator.ask(**given)
        labels = {"model": MODEL, "outcome": outcome}
        assert await generator.counted("rag_generate_duration_seconds_count", **labels) == 1
        result = await generator.value("rag_generate_first_token_seconds_count", model=MODEL)
        assert (result or None) == first


async def test_calls_and_tokens_are_counted_and_a_trace_that_nobody_keeps_is_not_handed_on() -> (
    None
):
    async with serving(GOOD) as server, running(server.url) as generator:
        for _ in range(2):
            await generator.ask()
        with pytest.raises(grpc.aio.AioRpcError):
            await generator.ask("invented")
        for kind, tokens in (("input", 22), ("output", 14)):
            labels = {"model": MODEL, "kind": kind}
            assert await generator.value("rag_generate_tokens_total", **labels) == tokens
        labels = {"system": "llm", "operation": "chat", "error": ""}
        assert await generator.value("rag_dependency_duration_seconds_count", **labels) == 2
        assert "invented" not in await generator.page()
    assert "traceparent" not in server.heads[0]


async def test_a_duration_leads_to_its_trace_and_no_span_holds_a_word_of_an_answer(
    receiver: Receiver,
) -> None:
    async with serving(GOOD) as server, running(server.url) as generator:
        await generator.ask()
        call = await span(receiver, GENERATE)
        lines = (await generator.page()).splitlines()
        await generator.ask("extractive")
        await span(receiver, "extract")
    trace = f'trace_id="{call.trace_id.hex()}"'
    names = {line.partition("_bucket{")[0] for line in lines if trace in line}
    assert {"rag_generate_duration_seconds", "rag_dependency_duration_seconds"} <= names
    for text in ("연차", "15일", "휴가", "leave", "doc"):
        assert text.encode() not in receiver.bytes()
