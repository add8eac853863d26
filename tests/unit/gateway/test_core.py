"""The order of things: what is asked of whom, in which order, and what is said of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

import pytest

from rag.types.v1.grounding_pb2 import Citation
from rag.types.v1.passage_pb2 import Passage
from rag_common.context import CALL, Call
from rag_contract import errors
from rag_gateway.answering.fair_semaphore import FairSemaphore
from rag_gateway.answering.model import Generation, Question, Retrieval, Support
from rag_gateway.answering.service import AnsweringService, AnswerResult, SearchResult, TextDelta
from tests.support.gateway.fakes import FakeEmbedding, FakeSearching, FakeWriting, scored, written

PASSAGES = [scored("a", 0.7), scored("b", 0.2), scored("c", 0.1)]
LATE = errors.DeadlineExceeded("late", metadata={"stage": "embedder"})
DOWN = errors.DependencyDown("down", metadata={"peer": "generator"}, retry_after=1)


def question(sources: Retrieval | Sequence[Passage] | None = None) -> Question:
    return Question("what?", sources or Retrieval(), Generation(), Support())


def answering(
    embedding: FakeEmbedding | None = None,
    searching: FakeSearching | None = None,
    writing: FakeWriting | None = None,
) -> AnsweringService:
    return AnsweringService(
        embedding or FakeEmbedding(),
        searching or FakeSearching(PASSAGES),
        writing or FakeWriting(),
        FairSemaphore(6),
    )


async def test_a_search_embeds_and_then_asks_the_index_of_the_tenant() -> None:
    embedding, searching = FakeEmbedding(), FakeSearching(PASSAGES)
    result = await answering(embedding, searching).search("kim", "what?", Retrieval(top_k=3))
    assert embedding.asked == [("what?", True, True)]
    assert [tenant for tenant, _ in searching.asked] == ["kim"]
    assert result.passages == PASSAGES
    assert result.provenance.fingerprint == "finger"
    assert result.provenance.index_version == "epoch-7"
    assert list(result.provenance.query_terms) == ["word"]


@pytest.mark.parametrize(("dense", "sparse"), [(True, False), (False, True)])
async def test_only_the_vectors_that_are_searched_are_made(dense: bool, sparse: bool) -> None:
    embedding = FakeEmbedding()
    await answering(embedding).search("kim", "what?", Retrieval(dense=dense, sparse=sparse))
    assert embedding.asked == [("what?", dense, sparse)]


async def test_every_stage_is_timed() -> None:
    answered = await answering().answer("kim", question())
    assert list(answered.search.timings.seconds) == [
        "queue",
        "embed",
        "embed.queue",
        "search",
        "generate",
        "first_token",
        "total",
    ]
    assert answered.search.timings.seconds["first_token"] == 0.25


async def test_own_passages_are_neither_embedded_nor_searched() -> None:
    embedding, searching, writing = FakeEmbedding(), FakeSearching(), FakeWriting()
    own = [Passage(passage_id="mine", text="x")]
    requested = question(own)
    answered = await answering(embedding, searching, writing).answer("kim", requested)
    assert (embedding.asked, searching.asked) == ([], [])
    assert [item.passage.passage_id for item in answered.search.passages] == ["mine"]
    assert list(answered.search.timings.seconds) == ["generate", "first_token", "total"]


@pytest.mark.parametrize(
    ("scores", "order"),
    [([0.1, 0.9, 0.5], ["b", "c"]), ([0.5, 0.5, 0.5], ["a", "b"])],
    ids=["new scores", "equal scores"],
)
async def test_reranking_orders_by_the_new_score(scores: list[float], order: list[str]) -> None:
    how = Retrieval(top_k=2, rerank=True)
    result = await answering(FakeEmbedding(scores=scores)).search("kim", "what?", how)
    assert [item.passage.passage_id for item in result.passages] == order
    assert result.passages[0].evidence.rerank_score == max(scores)
    assert "rerank" in result.timings.seconds


@pytest.mark.parametrize(
    ("top_k", "candidates", "read"), [(2, 30, 30), (10, 1000, 50), (80, 100, 80), (3, 3, 3)]
)
async def test_reranking_reads_a_bounded_number_of_passages_and_none_if_there_are_none(
    top_k: int, candidates: int, read: int
) -> None:
    embedding, searching = FakeEmbedding(), FakeSearching()
    how = Retrieval(top_k=top_k, candidates=candidates, rerank=True)
    await answering(embedding, searching).search("kim", "what?", how)
    assert searching.asked[0][1].top_k == read
    assert embedding.reranked == []


@pytest.mark.parametrize(
    ("how", "weighed"),
    [
        (Retrieval(), True),
        (Retrieval(fusion="rrf"), False),
        (Retrieval(fusion="dbsf"), False),
        (Retrieval(rerank=True), False),
    ],
)
async def test_only_a_share_of_belief_is_told_to_the_generator(
    how: Retrieval, weighed: bool
) -> None:
    """A generator weighs scores as belief, which the other fusions' scores are not."""
    writing = FakeWriting()
    embedding = FakeEmbedding(scores=[3.0, 2.0, 1.0])
    answered = await answering(embedding, writing=writing).answer("kim", question(how))
    assert [item.evidence.HasField("score") for item in writing.given[0]] == [weighed] * 3
    assert all(item.evidence.HasField("score") for item in answered.search.passages)


async def test_a_stream_finds_then_writes_then_ends() -> None:
    cited = Citation(number=1, passage_id="a")
    writing = FakeWriting([TextDelta("do"), cited, TextDelta("ne"), written()])
    events = [event async for event in answering(writing=writing).stream("kim", question())]
    assert [type(event) for event in events] == [
        SearchResult,
        TextDelta,
        Citation,
        TextDelta,
        AnswerResult,
    ]
    assert events[-1].answer.text == "done"  # type: ignore[union-attr]


async def test_an_answer_that_ran_out_of_time_is_a_short_stream_or_an_error() -> None:
    service = answering(
        writing=FakeWriting([TextDelta("do"), written("do", cut_short="BUDGET_EXHAUSTED")])
    )
    events = [event async for event in service.stream("kim", question())]
    assert events[-1].answer.cut_short == "BUDGET_EXHAUSTED"  # type: ignore[union-attr]
    with pytest.raises(errors.DeadlineExceeded) as raised:
        await service.answer("kim", question())
    assert raised.value.metadata["stage"] == "generate"


@pytest.mark.parametrize(
    ("embedding", "writing", "stage"),
    [(FakeEmbedding(error=LATE), FakeWriting(), "embed"),
     (FakeEmbedding(), FakeWriting(error=LATE), "generate")],
)  # fmt: skip
async def test_a_deadline_names_the_stage_that_it_fell_in(
    embedding: FakeEmbedding, writing: FakeWriting, stage: str
) -> None:
    with pytest.raises(errors.DeadlineExceeded) as raised:
        await answering(embedding, writing=writing).answer("kim", question())
    assert raised.value.metadata["stage"] == stage


@pytest.mark.parametrize(
    "error", [DOWN, errors.Draining("stops"), errors.Overloaded("full")], ids=lambda e: e.reason
)
async def test_without_a_generator_the_best_passage_is_quoted_at_once_and_in_a_stream(
    error: errors.AppError,
) -> None:
    service = answering(writing=FakeWriting(parts=(), error=error))
    answered = await service.answer("kim", question())
    assert "text of a" in answered.answer.text
    assert answered.answer.model == "quote"
    assert answered.search.provenance.degraded == ["generator"]
    assert {"generate", "first_token", "total"} <= set(answered.search.timings.seconds)
    events = [event async for event in service.stream("kim", question())]
    assert [type(event) for event in events] == [SearchResult, TextDelta, Citation, AnswerResult]
    assert isinstance(events[1], TextDelta)
    assert isinstance(events[-1], AnswerResult)
    assert events[1].text == events[-1].answer.text == answered.answer.text
    assert events[-1].search.provenance.degraded == ["generator"]


async def test_a_stream_that_has_words_already_ends_with_the_error() -> None:
    writing = FakeWriting(parts=(TextDelta("do"),), error=DOWN)
    streaming = answering(writing=writing).stream("kim", question())
    assert [type(await anext(streaming)) for _ in range(2)] == [SearchResult, TextDelta]
    with pytest.raises(errors.Unavailable):
        await anext(streaming)


@pytest.mark.parametrize(
    "error",
    [
        errors.DeadlineExceeded("late"),
        errors.ModelNotFound("no such model"),
        errors.ConcurrencyLimit("full", retry_after=1),
        errors.DependencyDown("the model is away", metadata={"peer": "llm"}),
    ],
    ids=lambda e: type(e).__name__,
)
async def test_other_errors_of_the_generator_are_no_reason_to_quote(
    error: errors.AppError,
) -> None:
    service = answering(writing=FakeWriting(parts=(), error=error))
    with pytest.raises(type(error)):
        await service.answer("kim", question())
    with pytest.raises(type(error)):
        _ = [event async for event in service.stream("kim", question())]


async def test_what_the_generator_did_without_is_told() -> None:
    writing = FakeWriting([TextDelta("done"), written(degraded=["language_model"])])
    answered = await answering(writing=writing).answer("kim", question())
    assert answered.search.provenance.degraded == ["language_model"]


RERANK = Retrieval(top_k=2, rerank=True)


@pytest.mark.parametrize(
    "error",
    [
        errors.DependencyDown("down"),
        errors.ModelLoading("wait"),
        errors.DeadlineExceeded("late"),
        errors.ConcurrencyLimit("full"),
    ],
    ids=lambda e: e.reason,
)
async def test_without_a_reranker_the_order_of_the_search_stays(error: errors.AppError) -> None:
    result = await answering(FakeEmbedding(unranked=error)).search("kim", "what?", RERANK)
    assert [item.passage.passage_id for item in result.passages] == ["a", "b"]
    assert result.provenance.degraded == ["reranker"]
    assert "rerank" in result.timings.seconds


async def test_a_reranker_that_is_not_configured_is_an_error() -> None:
    embedding = FakeEmbedding(unranked=errors.NotConfigured("none"))
    with pytest.raises(errors.NotConfigured):
        await answering(embedding).search("kim", "what?", RERANK)


async def test_belief_is_told_to_the_generator_where_nothing_was_reranked_after_all() -> None:
    writing = FakeWriting()
    embedding = FakeEmbedding(unranked=errors.DependencyDown("away"))
    await answering(embedding, writing=writing).answer("kim", question(RERANK))
    assert [item.evidence.score for item in writing.given[0]] == [0.7, 0.2]


@contextmanager
def seconds(left: float) -> Iterator[Call]:
    """A call with so many seconds left."""
    call = Call("id", "0af7651916cd43dd8448eb211c80319c", monotonic() + left)
    token = CALL.set(call)
    try:
        yield call
    finally:
        CALL.reset(token)


async def test_a_reranker_that_hangs_leaves_half_of_the_time_for_the_answer() -> None:
    with seconds(0.6) as call:
        answered = await answering(FakeEmbedding()).answer("kim", question(RERANK))
        assert call.remaining > 0.1
    assert answered.answer.text == "done"
    assert answered.search.provenance.degraded == ["reranker"]
    assert answered.search.timings.seconds["rerank"] >= 0.29


async def test_other_errors_go_through_as_they_are() -> None:
    broken = errors.DependencyDown("away", retry_after=1)
    with pytest.raises(errors.Unavailable) as raised:
        await answering(FakeEmbedding(error=broken)).search("kim", "what?", Retrieval())
    assert raised.value is broken
