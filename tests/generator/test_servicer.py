"""The generator's methods over the wire, with the real extractive backend and a scripted model."""

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
from rag_common import errors
from rag_common.errors import AppError
from rag_common.rpc.server import Service, serving
from rag_common.rpc.status import from_rpc_error
from rag_common.telemetry import Telemetry
from rag_generator.core import Backend, Finish, Generator
from rag_generator.fallback import Fallback
from rag_generator.prompt import Template
from rag_generator.prompted import Prompted
from rag_generator.quoting import Quoting
from rag_generator.servicer import GeneratorServicer
from tests.generator.neighbour import ScriptedModel
from tests.rpc import Settings
from tests.waiting import until

QUESTION = "연차 휴가는 한 해에 며칠인가요?"
TEXT = "우리 회사의 휴가 안내이다. 연차 휴가는 한 해에 15일을 준다. 병가는 따로 정한다."
HANGING = ScriptedModel("연차 휴가는 ", hangs=True)


def scored(name: str = "leave", text: str = TEXT, score: float | None = 0.9) -> ScoredPassage:
    passage = Passage(passage_id=name, document_id=f"doc-{name}", text=text, title="휴가 규정")
    return ScoredPassage(passage=passage, evidence=Evidence(score=score))


@pytest_asyncio.fixture
async def stub() -> AsyncIterator[GeneratorServiceStub]:
    """The default backend first, then models that write what their names say."""
    backends: dict[str, Backend] = {"extractive": Quoting()}
    for name, model in {
        "good": ScriptedModel("연차 휴가는 한 해에 ", "15일을 준다 [1]."),
        "cut": ScriptedModel("연차 휴가는 한 해에 15일을 준다 [1].", finish=Finish.LENGTH),
        "bad": ScriptedModel("회장은 김철수이고 본사는 부산에 있다 [1]."),
        "hangs": HANGING,
    }.items():
        backends[name] = Prompted(model, Template(), interval=0)
    away = ScriptedModel(error=errors.Unavailable("away", metadata={"peer": "llm"}))
    backends["away"] = Fallback(Prompted(away, Template(), interval=0), Quoting())
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


@pytest.mark.parametrize("model", ["extractive", "good"])
async def test_a_stream_says_word_by_word_what_a_reply_says_at_once(
    stub: GeneratorServiceStub, model: str
) -> None:
    how = pb.GenerationOptions(model=model)
    whole = await stub.Generate(asked(options=how))
    events = [
        event async for event in stub.StreamGenerate(asked(pb.StreamGenerateRequest, options=how))
    ]
    deltas = [event.delta for event in events if event.HasField("delta")]
    assert "".join(delta.text for delta in deltas) == whole.text
    assert [delta.sequence for delta in deltas] == list(range(len(deltas)))
    assert [event.citation for event in events if event.HasField("citation")] == list(
        whole.citations
    )
    last = events[-1].completed
    for reply in (last, whole):
        reply.ClearField("time_to_first_token")
    assert last == whole


async def test_without_passages_there_is_no_answer_and_no_confidence(
    stub: GeneratorServiceStub,
) -> None:
    reply = await stub.Generate(asked(passages=[]))
    assert reply.skipped_reason == grounding_pb2.SKIPPED_REASON_NO_PASSAGES
    assert not reply.HasField("confidence")
    assert reply.text


async def test_weak_evidence_is_declined_unless_it_is_only_flagged(
    stub: GeneratorServiceStub,
) -> None:
    weak = [scored(text="구내식당은 열두 시에 문을 연다.", score=0.1)]
    reply = await stub.Generate(asked(passages=weak))
    assert reply.skipped_reason == grounding_pb2.SKIPPED_REASON_WEAK_EVIDENCE
    assert not reply.citations
    flag = pb.GroundingPolicy(mode=pb.GROUNDING_MODE_FLAG)
    shown = await stub.Generate(asked(passages=weak, grounding=flag))
    assert shown.skipped_reason == grounding_pb2.SKIPPED_REASON_UNSPECIFIED
    assert shown.confidence < 0.3


async def test_the_least_confidence_can_be_asked_for(stub: GeneratorServiceStub) -> None:
    sure = await stub.Generate(asked(grounding=pb.GroundingPolicy(min_score=0)))
    assert sure.citations
    never = await stub.Generate(asked(grounding=pb.GroundingPolicy(min_score=1)))
    assert never.skipped_reason == grounding_pb2.SKIPPED_REASON_WEAK_EVIDENCE


async def test_an_unsupported_answer_of_a_model_is_withheld(stub: GeneratorServiceStub) -> None:
    reply = await stub.Generate(asked(options=pb.GenerationOptions(model="bad")))
    assert reply.skipped_reason == grounding_pb2.SKIPPED_REASON_UNGROUNDED
    assert "김철수" not in reply.text


async def test_an_answer_that_reached_its_length_says_so(stub: GeneratorServiceStub) -> None:
    reply = await stub.Generate(asked(options=pb.GenerationOptions(model="cut")))
    assert reply.finish_reason == pb.FINISH_REASON_LENGTH
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (11, 7)
    assert reply.prompt_version


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_without_its_language_model_says_so(
    stub: GeneratorServiceStub, streamed: bool
) -> None:
    how = pb.GenerationOptions(model="away")
    if streamed:
        request = asked(pb.StreamGenerateRequest, options=how)
        reply = [event async for event in stub.StreamGenerate(request)][-1].completed
    else:
        reply = await stub.Generate(asked(options=how))
    assert list(reply.degraded) == ["language_model"]
    assert reply.model == "extractive"
    assert "15일을 준다" in reply.text


async def test_an_answer_with_all_its_parts_is_not_degraded(stub: GeneratorServiceStub) -> None:
    reply = await stub.Generate(asked(options=pb.GenerationOptions(model="good")))
    assert not reply.degraded


async def test_a_caller_that_leaves_stops_the_model(stub: GeneratorServiceStub) -> None:
    HANGING.stopped = False
    how = pb.GenerationOptions(model="hangs")
    call = stub.StreamGenerate(asked(pb.StreamGenerateRequest, options=how))
    async for _ in call:
        break
    call.cancel()
    await until(lambda: HANGING.stopped, "the model is stopped")


async def test_the_language_of_an_apology_follows_the_question_or_the_wish(
    stub: GeneratorServiceStub,
) -> None:
    english = await stub.Generate(asked(question="How many days of leave?", passages=[]))
    assert english.text.isascii()
    korean = await stub.Generate(
        asked(
            question="How many days of leave?",
            passages=[],
            options=pb.GenerationOptions(language="ko-KR"),
        )
    )
    assert not korean.text.isascii()


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
    assert [model.is_default for model in models] == [True, False, False, False, False, False]


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
