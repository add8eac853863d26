"""Questions, answers, and what an answer rests on."""

import json

import pytest

from rag.gateway.v1 import answer_service_pb2 as pb
from rag.gateway.v1 import options_pb2 as options
from rag.types.v1 import grounding_pb2
from rag.types.v1.passage_pb2 import Passage
from tests.e2e.callers import Caller, refused
from tests.e2e.conftest import SAMPLES
from tests.e2e.platform import Platform
from tests.support.waiting import until

QUESTIONS = json.loads((SAMPLES / "questions.json").read_text("utf-8"))
ANSWERED = QUESTIONS["answerable"]
DECLINED = [one["question"] for one in QUESTIONS["unanswerable"]]
KOREAN = "출장비 정산서는 언제까지 제출해야 하나요?"
ENGLISH = "How quickly must a SEV1 incident be acknowledged?"


def holds(reply: pb.AnswerResponse, answer: str) -> bool:
    return " ".join(answer.split()) in " ".join(reply.text.split())


@pytest.mark.parametrize("asked", ANSWERED, ids=[one["document"] for one in ANSWERED])
async def test_a_question_that_the_documents_answer_is_answered_and_cites_the_document(
    reader: Caller, asked: dict[str, str]
) -> None:
    reply = await reader.ask(asked["question"])
    assert holds(reply, asked["answer"])
    assert asked["document"] in {citation.document_id for citation in reply.citations}
    assert reply.skipped_reason == grounding_pb2.SKIPPED_REASON_UNSPECIFIED
    passages = {item.passage.passage_id: item.passage for item in reply.references}
    for citation in reply.citations:
        check_citation(reply.text, citation, passages[citation.passage_id])


def check_citation(answer: str, citation: grounding_pb2.Citation, passage: Passage) -> None:
    assert citation.document_id == passage.document_id
    assert citation.quote == passage.text[citation.quote_start : citation.quote_end]
    sentence = answer[citation.answer_start : citation.answer_end]
    assert sentence.split() == citation.quote.split()
    assert answer[citation.answer_end :].startswith(f" [{citation.number}]")


@pytest.mark.parametrize("question", DECLINED)
async def test_a_question_that_no_document_answers_is_declined(
    reader: Caller, question: str
) -> None:
    reply = await reader.ask(question)
    assert reply.skipped_reason == grounding_pb2.SKIPPED_REASON_WEAK_EVIDENCE
    assert not reply.citations


@pytest.mark.parametrize("question", [KOREAN, ENGLISH, DECLINED[0]])
async def test_a_stream_says_in_its_order_what_a_single_reply_says(
    reader: Caller, question: str
) -> None:
    events = [one for one in await reader.events(question) if not one.HasField("heartbeat")]
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds[:3] == ["started", "retrieved", "delta"]
    assert kinds[-1] == "completed"
    assert set(kinds[2:-1]) <= {"delta", "citation", "grounding", "warning"}
    streamed = events[-1].completed
    deltas = [event.delta for event in events if event.HasField("delta")]
    assert "".join(delta.text for delta in deltas) == streamed.text
    assert [delta.sequence for delta in deltas] == list(range(len(deltas)))
    citations = [event.citation for event in events if event.HasField("citation")]
    assert citations == list(streamed.citations)
    assert list(events[1].retrieved.references) == list(streamed.references)
    single = await reader.ask(question)
    for reply in (single, streamed):
        for field in ("timings", "request_id", "trace_id", "usage"):
            reply.ClearField(field)
    assert single == streamed


async def test_a_passage_stands_where_its_span_says(reader: Caller) -> None:
    """The sample is plain text without markup, so that the document's text is the file's."""
    name = "ko/신입사원-안내.txt"
    text = (SAMPLES / name).read_text("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")
    for passage in await reader.passages(name):
        span = passage.span
        assert passage.text == text[span.start : span.end]
        assert passage.text.encode() == text.encode()[span.start_byte : span.end_byte]


async def test_an_answer_says_how_long_each_stage_took_and_what_it_was_made_with(
    reader: Caller,
) -> None:
    reply = await reader.ask(KOREAN)
    stages = {timing.stage for timing in reply.timings}
    assert {"embed", "embed.inference", "search", "generate", "first_token", "total"} <= stages
    created = reply.provenance
    known = await reader.capabilities()
    assert created.embedding_fingerprint == known.embedding.fingerprint
    assert created.generation_model == known.generation_models[0] == "extractive"
    assert created.index_version
    assert not created.degraded


async def test_one_request_id_stands_in_the_reply_and_in_the_lines_of_its_services(
    platform: Platform, caller: Caller
) -> None:
    await caller.ingest("doc", "얼룩말은 아프리카의 초원에서 산다.")
    reply = await caller.ask("얼룩말은 어디에서 사나요?", request_id="order-4711")
    assert reply.request_id == "order-4711"
    for service in ("gateway", "embedder", "retriever", "generator"):
        lines = await until(
            lambda service=service: platform.calls(service, request_id="order-4711"),
            f"a line of the {service} with the caller's request id",
        )
        assert {line["trace_id"] for line in lines} == {reply.trace_id}
        # No line holds a question or a passage.
        assert "얼룩말" not in json.dumps(platform.lines(service), ensure_ascii=False)


async def test_an_error_has_the_ids_that_its_log_line_has(
    platform: Platform, caller: Caller
) -> None:
    result = await refused(caller.ask("", request_id="order-4712"))
    assert result.trace_id
    [line] = await until(
        lambda: platform.calls("gateway", trace_id=result.trace_id), "the line of the refused call"
    )
    assert line["reason"] == result.reason == "FIELD_INVALID"
    assert line["request_id"] == result.request_id == "order-4712"


async def test_own_passages_are_answered_from_without_a_search(caller: Caller) -> None:
    passages = [
        Passage(passage_id="a", text="The warehouse in Paju opens at seven in the morning."),
        Passage(text="Bicycles stand behind the house."),
    ]
    reply = await caller.ask("When does the warehouse in Paju open?", passages=passages)
    assert "seven in the morning" in reply.text
    assert [citation.passage_id for citation in reply.citations][:1] == ["a"]
    assert not {"embed", "search"} & {timing.stage for timing in reply.timings}
    assert [item.passage.passage_id for item in reply.references] == ["a", "given-2"]


async def test_grounding_is_checked_sentence_by_sentence(caller: Caller) -> None:
    text = "The office opens at nine. The moon is made of cheese."
    inputs = [Passage(passage_id="a", text="Our office opens at nine o'clock every weekday.")]
    grounding = (await caller.check(text, inputs)).grounding
    assert [claim.supported for claim in grounding.claims] == [True, False]
    assert list(grounding.claims[0].passage_ids) == ["a"]
    assert [text[claim.start : claim.end] for claim in grounding.claims] == [
        "The office opens at nine.",
        "The moon is made of cheese.",
    ]
    assert grounding.score == pytest.approx(0.5)
    assert (await refused(caller.check(text, []))).fields == ("passages",)


async def test_capabilities_name_models_limits_and_formats(caller: Caller) -> None:
    result = await caller.capabilities()
    assert list(result.generation_models) == ["extractive"]
    assert result.embedding.model == "multilingual-e5-small"
    assert result.embedding.dimensions == 384
    assert {"text/plain", "text/markdown", "application/pdf"} <= set(result.media_types)
    assert result.limits.query_characters == 4000
    assert not result.reranker


async def test_explaining_shows_ranks_scores_and_morphemes(reader: Caller) -> None:
    result = await reader.search("연차휴가 이월", explain=True)
    assert {"연차", "이월"} & set(result.query_terms)
    best = result.passages[0].evidence
    assert set(best.matched_terms) <= set(result.query_terms)
    assert best.matched_terms
    assert (best.dense_rank, best.sparse_rank) == (1, 1) or best.sparse_rank
    assert best.HasField("dense_score")
    assert best.HasField("sparse_score")
    plain = await reader.search("연차휴가 이월")
    assert not plain.query_terms
    assert not plain.passages[0].evidence.matched_terms


@pytest.mark.parametrize(
    ("mode", "fusion"),
    [("DENSE", "POSTERIOR"), ("SPARSE", "POSTERIOR"), ("HYBRID", "RRF"), ("HYBRID", "DBSF")],
)
async def test_every_mode_and_fusion_finds_and_counts_ranks(
    reader: Caller, mode: str, fusion: str
) -> None:
    how = options.RetrievalOptions(
        mode=f"RETRIEVAL_MODE_{mode}", fusion=f"FUSION_METHOD_{fusion}", top_k=5
    )
    result = (await reader.search("연차휴가는 며칠인가요?", retrieval=how)).passages
    assert len(result) == 5
    scores = [item.evidence.score for item in result]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    unasked = {"DENSE": "sparse_rank", "SPARSE": "dense_rank"}.get(mode)
    assert not unasked or not any(item.evidence.HasField(unasked) for item in result)


async def test_a_least_score_cuts_the_list(reader: Caller) -> None:
    everything = (await reader.search("연차휴가 이월")).passages
    least = everything[0].evidence.score
    how = options.RetrievalOptions(min_score=least)
    kept = (await reader.search("연차휴가 이월", retrieval=how)).passages
    assert 1 <= len(kept) < len(everything)


async def test_reranking_without_a_cross_encoder_is_a_failed_precondition(
    reader: Caller,
) -> None:
    how = options.RetrievalOptions(rerank=True)
    result = await refused(reader.search("연차휴가", retrieval=how))
    assert (result.code, result.reason) == ("FAILED_PRECONDITION", "NOT_CONFIGURED")


async def test_an_error_before_the_first_word_ends_a_stream_with_its_status(
    reader: Caller,
) -> None:
    how = options.GenerationOptions(model="gpt-17")
    result = await refused(reader.events(KOREAN, generation=how))
    assert (result.code, result.reason) == ("NOT_FOUND", "MODEL_NOT_FOUND")
