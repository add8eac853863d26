"""The generator's methods over the wire, with the real extractive backend and a scripted model."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio

from rag.generator.v1 import generator_service_pb2 as pb
from rag.generator.v1.generator_service_pb2_grpc import (
    GeneratorServiceStub,
    add_GeneratorServiceServicer_to_server,
)
from rag.types.v1 import grounding_pb2
from rag.types.v1.passage_pb2 import Evidence, Passage, ScoredPassage
from rag_common.grpc.bootstrap import Service, serving
from rag_common.observability.setup import Telemetry
from rag_contract import errors
from rag_contract.errors import AppError
from rag_contract.status import from_rpc_error
from rag_generator.answering.extractive_answering import ExtractiveAnswering
from rag_generator.answering.llm_answering import LlmAnswering
from rag_generator.answering.service import Backend, Generator
from rag_generator.api.servicer import GeneratorServicer
from rag_generator.llm.model import Finish
from rag_generator.llm.prompt import Template
from tests.support.generator.neighbour import ScriptedModel
from tests.support.rpc import Settings
from tests.support.waiting import until

QUESTION = "연차 휴가는 한 해에 며칠인가요?"
TEXT = "우리 회사의 휴가 안내이다. 연차 휴가는 한 해에 15일을 준다. 병가는 따로 정한다."
HANGING = ScriptedModel("연차 휴가는 ", hangs=True)


def scored(name: str = "leave", text: str = TEXT, score: float | None = 0.9) -> ScoredPassage:
    passage = Passage(passage_id=name, document_id=f"doc-{name}", text=text, title="휴가 규정")
    return ScoredPassage(passage=passage, evidence=Evidence(score=score))


@pytest_asyncio.fixture
async def stub() -> AsyncIterator[GeneratorServiceStub]:
    """The default backend first, then models that write what their names say."""
    backends: dict[str, Backend] = {"extractive": ExtractiveAnswering()}
    for name, model in {
        "good": ScriptedModel("연차 휴가는 한 해에 ", "15일을 준다 [1]."),
        "cut": ScriptedModel("연차 휴가는 한 해에 15일을 준다 [1].", finish=Finish.LENGTH),
        "bad": ScriptedModel("회장은 김철수이고 본사는 부산에 있다 [1]."),
        "hangs": HANGING,
        "silent": ScriptedModel(hangs=True),
    }.items():
        backends[name] = LlmAnswering(model, Template(), interval=0)
    down = ScriptedModel(error=errors.DependencyDown("down", metadata={"peer": "llm"}))
    fallback = ExtractiveAnswering()
    backends["unavailable"] = LlmAnswering(down, Template(), interval=0, fallback=fallback)
    servicer = GeneratorServicer(Generator(backends, "extractive"))
    service = Service(
        "rag.generator.v1.GeneratorService", add_GeneratorServiceServicer_to_server, servicer
    )
    async with (
        serving([service], Settings(), Telemetry()) as ports,
        grpc.aio.insecure_channel(f"127.0.0.1:{ports.grpc}") as channel,
    ):
        yield GeneratorServiceStub(channel)


def asked(kind: Any = pb.GenerateRequest, **given: Any) -> Any:
    return kind(**{"question": QUESTION, "passages": [scored()], **given})


async def refused(call: Any) -> AppError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        _ = [reply async for reply in call] if hasattr(call, "__aiter__") else await call
    return from_rpc_error(raised.value)


async def test_an_answer_quotes_and_cites_where_it_stands(stub: GeneratorServiceStub) -> None:
    reply = await stub.Generate(asked())
    assert "15일을 준다" in reply.text
    assert reply.skipped_reason == grounding_pb2.SKIPPED_REASON_UNSPECIFIED
    for citation in reply.citations:
        assert citation.document_id == "doc-leave"
        assert citation.quote == TEXT[citation.quote_start : citation.quote_end]
        assert reply.text[citation.answer_start : citation.answer_end] == citation.quote
    assert reply.citations[0].number == 1
    assert (reply.model, reply.finish_reason) == ("extractive", pb.FINISH_REASON_STOP)
    assert 0 < reply.confidence <= 1
    assert reply.grounding.score == 1
    assert reply.time_to_first_token.ToNanoseconds() > 0


@pytest.mark.parametrize(
    ("model", "degraded"), [("extractive", []), ("good", []), ("unavailable", ["language_model"])]
)
async def test_a_stream_says_word_by_word_what_a_reply_says_at_once(
    stub: GeneratorServiceStub, model: str, degraded: list[str]
) -> None:
    options = pb.GenerationOptions(model=model)
    whole = await stub.Generate(asked(options=options))
    request = asked(pb.StreamGenerateRequest, options=options)
    events = [event async for event in stub.StreamGenerate(request)]
    deltas = [event.delta for event in events if event.HasField("delta")]
    citations = [event.citation for event in events if event.HasField("citation")]
    assert "".join(delta.text for delta in deltas) == whole.text
    assert [delta.sequence for delta in deltas] == list(range(len(deltas)))
    assert citations == list(whole.citations)
    last = events[-1].completed
    for reply in (last, whole):
        reply.ClearField("time_to_first_token")
    assert last == whole
    assert "15일을 준다" in whole.text
    assert list(whole.degraded) == degraded


WEAK = {"passages": [scored(text="구내식당은 열두 시에 문을 연다.", score=0.1)]}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"passages": []}, "NO_PASSAGES"),
        (WEAK, "WEAK_EVIDENCE"),
        ({"grounding": {"min_score": 1}}, "WEAK_EVIDENCE"),
        ({"options": {"model": "bad"}}, "UNGROUNDED"),
        ({**WEAK, "grounding": {"mode": pb.GROUNDING_MODE_FLAG}}, "UNSPECIFIED"),
        ({"grounding": {"min_score": 0}}, "UNSPECIFIED"),
    ],
)
async def test_an_answer_that_is_withheld_says_why(
    stub: GeneratorServiceStub, given: dict[str, Any], reason: str
) -> None:
    reply = await stub.Generate(asked(**given))
    assert reply.skipped_reason == getattr(grounding_pb2, f"SKIPPED_REASON_{reason}")
    assert bool(reply.citations) is (reason == "UNSPECIFIED")
    assert reply.HasField("confidence") is (reason != "NO_PASSAGES")
    assert reply.text
    assert "김철수" not in reply.text


async def test_an_answer_that_reached_its_length_says_so(stub: GeneratorServiceStub) -> None:
    reply = await stub.Generate(asked(options=pb.GenerationOptions(model="cut")))
    assert reply.finish_reason == pb.FINISH_REASON_LENGTH
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (11, 7)
    assert reply.prompt_version


async def test_a_caller_that_leaves_stops_the_model(stub: GeneratorServiceStub) -> None:
    HANGING.stopped = False
    how = pb.GenerationOptions(model="hangs")
    call = stub.StreamGenerate(asked(pb.StreamGenerateRequest, options=how))
    async for _ in call:
        break
    call.cancel()
    await until(lambda: HANGING.stopped, "the model is stopped")


async def test_the_headers_of_a_stream_do_not_wait_for_the_model(
    stub: GeneratorServiceStub,
) -> None:
    options = pb.GenerationOptions(model="silent")
    call = stub.StreamGenerate(asked(pb.StreamGenerateRequest, options=options))
    await asyncio.wait_for(call.initial_metadata(), 5)
    call.cancel()


@pytest.mark.parametrize(("language", "ascii"), [("", True), ("ko-KR", False)])
async def test_the_language_of_a_refusal_follows_the_question_or_the_option(
    stub: GeneratorServiceStub, language: str, ascii: bool
) -> None:
    options = pb.GenerationOptions(language=language)
    english = asked(question="How many days of leave?", passages=[], options=options)
    assert (await stub.Generate(english)).text.isascii() is ascii


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"question": ""}, "question"),
        ({"question": " \n"}, "question"),
        ({"passages": [scored(name="")]}, "passages.passage_id"),
        ({"passages": [scored()] * 51}, "passages"),
        ({"options": {"max_output_tokens": 0}}, "options.max_output_tokens"),
        ({"options": {"max_output_tokens": 4097}}, "options.max_output_tokens"),
        ({"options": {"temperature": -1}}, "options.temperature"),
        ({"options": {"temperature": float("nan")}}, "options.temperature"),
        ({"grounding": {"mode": 9}}, "grounding.mode"),
        ({"grounding": {"min_score": 1.5}}, "grounding.min_score"),
        ({"grounding": {"min_score": float("nan")}}, "grounding.min_score"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_request_that_cannot_be_is_refused(
    stub: GeneratorServiceStub, given: dict[str, Any], field: str, streamed: bool
) -> None:
    call = (
        stub.StreamGenerate(asked(pb.StreamGenerateRequest, **given))
        if streamed
        else stub.Generate(asked(**given))
    )
    error = await refused(call)
    assert error.reason == "FIELD_INVALID"
    assert [violation.field for violation in error.violations] == [field]


async def test_an_unknown_model_is_not_found_and_the_known_ones_are_named(
    stub: GeneratorServiceStub,
) -> None:
    error = await refused(stub.Generate(asked(options=pb.GenerationOptions(model="gpt"))))
    assert error.reason == "MODEL_NOT_FOUND"
    assert "extractive" in error.metadata["models"]


async def test_models_are_listed_with_the_default_first(stub: GeneratorServiceStub) -> None:
    models = (await stub.ListModels(pb.ListModelsRequest())).models
    assert models[0].name == "extractive"
    assert [model.is_default for model in models] == [True] + [False] * 6


async def test_a_text_is_checked_sentence_by_sentence(stub: GeneratorServiceStub) -> None:
    text = "연차 휴가는 한 해에 15일을 준다. 회장은 김철수이다."
    request = pb.CheckGroundingRequest(text=text, passages=[scored().passage])
    grounding = (await stub.CheckGrounding(request)).grounding
    assert [claim.supported for claim in grounding.claims] == [True, False]
    assert [text[claim.start : claim.end] for claim in grounding.claims] == [
        "연차 휴가는 한 해에 15일을 준다.",
        "회장은 김철수이다.",
    ]
    assert list(grounding.claims[0].passage_ids) == ["leave"]
    assert not grounding.claims[1].passage_ids
    assert grounding.score == 0.5


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"text": ""}, "text"),
        ({"passages": []}, "passages"),
        ({"passages": [scored().passage] * 51}, "passages"),
    ],
)
async def test_a_check_that_cannot_be_is_refused(
    stub: GeneratorServiceStub, given: dict[str, Any], field: str
) -> None:
    request = pb.CheckGroundingRequest(**{"text": "x", "passages": [scored().passage], **given})
    error = await refused(stub.CheckGrounding(request))
    assert [violation.field for violation in error.violations] == [field]
