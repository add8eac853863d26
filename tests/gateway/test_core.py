"""The order of things: what is asked of whom, in which order, and what is said of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

import pytest

from rag.types.v1.grounding_pb2 import Citation
from rag.types.v1.passage_pb2 import Passage
from rag_common import errors
from rag_common.context import CALL, Call, Trace
from rag_gateway.core import Answered, Answering, Found, Words
from rag_gateway.question import Generation, Question, Retrieval, Support
from rag_gateway.turns import Turns
from tests.gateway.fakes import FakeEmbedding, FakeSearching, FakeWriting, scored, written

PASSAGES = [scored("a", 0.7), scored("b", 0.2), scored("c", 0.1)]


def question(sources: Retrieval | Sequence[Passage] | None = None) -> Question:
    return Question("what?", sources or Retrieval(), Generation(), Support())


def answering(
    embedding: FakeEmbedding | None = None,
    searching: FakeSearching | None = None,
    writing: FakeWriting | None = None,
) -> Answering:
    return Answering(
        embedding or FakeEmbedding(),
        searching or FakeSearching(PASSAGES),
        writing or FakeWriting(),
        Turns(6),
    )


async def test_a_search_embeds_and_then_asks_the_index_of_the_tenant() -> None:
    embedding, searching = FakeEmbedding(), FakeSearching(PASSAGES)
    found = await answering(embedding, searching).search("kim", "what?", Retrieval(top_k=3))
    assert embedding.asked == [("what?", True, True)]
    assert [tenant for tenant, _ in searching.asked] == ["kim"]
    assert found.passages == PASSAGES
    assert found.journey.fingerprint == "finger"
    assert found.journey.index_version == "epoch-7"
    assert list(found.journey.query_terms) == ["word"]


@pytest.mark.parametrize(("dense", "sparse"), [(True, False), (False, True)])
async def test_only_the_vectors_that_are_searched_are_made(dense: bool, sparse: bool) -> None:
    embedding = FakeEmbedding()
    await answering(embedding).search("kim", "what?", Retrieval(dense=dense, sparse=sparse))
    assert embedding.asked == [("what?", dense, sparse)]


async def test_every_stage_is_timed() -> None:
    answered = await answering().answer("kim", question())
    assert list(answered.found.journey.seconds) == [
        "queue",
        "embed",
        "embed.queue",
        "search",
        "generate",
        "first_token",
        "total",
    ]
    assert answered.found.journey.seconds["first_token"] == 0.25


async def test_own_passages_are_neither_embedded_nor_searched() -> None:
    embedding, searching, writing = FakeEmbedding(), FakeSearching(), FakeWriting()
    own = [Passage(passage_id="mine", text="x")]
    asked = question(own)
    answered = await answering(embedding, searching, writing).answer("kim", asked)
    assert (embedding.asked, searching.asked) == ([], [])
    assert [item.passage.passage_id for item in answered.found.passages] == ["mine"]
    assert list(answered.found.journey.seconds) == ["generate", "first_token", "total"]


async def test_reranking_reads_more_passages_and_orders_by_the_new_score() -> None:
    embedding, searching = FakeEmbedding(scores=[0.1, 0.9, 0.5]), FakeSearching(PASSAGES)
    how = Retrieval(top_k=2, candidates=30, rerank=True)
    found = await answering(embedding, searching).search("kim", "what?", how)
    assert searching.asked[0][1].top_k == 30
    assert [item.passage.passage_id for item in found.passages] == ["b", "c"]
    assert found.passages[0].evidence.rerank_score == 0.9
    assert "rerank" in found.journey.seconds


@pytest.mark.parametrize(
    ("top_k", "candidates", "read"), [(10, 1000, 50), (80, 100, 80), (3, 3, 3)]
)
async def test_reranking_reads_a_bounded_number_of_passages(
    top_k: int, candidates: int, read: int
) -> None:
    searching = FakeSearching()
    how = Retrieval(top_k=top_k, candidates=candidates, rerank=True)
    await answering(searching=searching).search("kim", "what?", how)
    assert searching.asked[0][1].top_k == read


async def test_nothing_is_reranked_where_nothing_was_found() -> None:
    embedding = FakeEmbedding()
    await answering(embedding, FakeSearching()).search("kim", "what?", Retrieval(rerank=True))
    assert embedding.reranked == []


async def test_equal_scores_keep_their_order() -> None:
    embedding = FakeEmbedding(scores=[0.5, 0.5, 0.5])
    found = await answering(embedding).search("kim", "what?", Retrieval(rerank=True))
    assert [item.passage.passage_id for item in found.passages] == ["a", "b", "c"]


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
    assert all(item.evidence.HasField("score") for item in answered.found.passages)


async def test_a_stream_finds_then_writes_then_ends() -> None:
    cited = Citation(number=1, passage_id="a")
    writing = FakeWriting([Words("do"), cited, Words("ne"), written()])
    events = [event async for event in answering(writing=writing).stream("kim", question())]
    assert [type(event) for event in events] == [Found, Words, Citation, Words, Answered]
    assert events[-1].written.text == "done"  # type: ignore[union-attr]


async def test_a_stream_says_why_it_was_cut_short() -> None:
    writing = FakeWriting([Words("do"), written("do", cut_short="BUDGET_EXHAUSTED")])
    events = [event async for event in answering(writing=writing).stream("kim", question())]
    assert events[-1].written.cut_short == "BUDGET_EXHAUSTED"  # type: ignore[union-attr]


async def test_a_single_answer_that_ran_out_of_time_is_an_error() -> None:
    writing = FakeWriting([written("do", cut_short="BUDGET_EXHAUSTED")])
    with pytest.raises(errors.DeadlineExceeded) as raised:
        await answering(writing=writing).answer("kim", question())
    assert raised.value.metadata["stage"] == "generate"


async def test_a_deadline_names_the_stage_that_it_fell_in() -> None:
    late = errors.DeadlineExceeded("late", metadata={"stage": "embedder"})
    with pytest.raises(errors.DeadlineExceeded) as raised:
        await answering(FakeEmbedding(error=late)).search("kim", "what?", Retrieval())
    assert raised.value.metadata["stage"] == "embed"
    with pytest.raises(errors.DeadlineExceeded) as raised:
        await answering(writing=FakeWriting(error=late)).answer("kim", question())
    assert raised.value.metadata["stage"] == "generate"


AWAY = errors.Unavailable("away", metadata={"peer": "generator"}, retry_after=1)


@pytest.mark.parametrize(
    "away", [AWAY, errors.Draining("stops"), errors.Overloaded("full")], ids=lambda e: e.reason
)
async def test_without_a_generator_the_best_passage_is_quoted_and_the_reply_says_so(
    away: errors.AppError,
) -> None:
    answered = await answering(writing=FakeWriting(error=away)).answer("kim", question())
    assert "text of a" in answered.written.text
    assert answered.written.model == "quote"
    assert answered.found.journey.degraded == ["generator"]
    assert {"generate", "first_token", "total"} <= set(answered.found.journey.seconds)


async def test_a_stream_without_a_generator_quotes_as_it_would_at_once() -> None:
    writing = FakeWriting(parts=(), error=AWAY)
    events = [event async for event in answering(writing=writing).stream("kim", question())]
    assert [type(event) for event in events] == [Found, Words, Citation, Answered]
    whole = await answering(writing=FakeWriting(error=AWAY)).answer("kim", question())
    assert isinstance(events[1], Words)
    assert isinstance(events[-1], Answered)
    assert events[1].text == events[-1].written.text == whole.written.text
    assert events[-1].found.journey.degraded == ["generator"]


async def test_a_stream_that_has_words_already_ends_with_the_error() -> None:
    writing = FakeWriting(parts=(Words("do"),), error=AWAY)
    streaming = answering(writing=writing).stream("kim", question())
    assert [type(await anext(streaming)) for _ in range(2)] == [Found, Words]
    with pytest.raises(errors.Unavailable):
        await anext(streaming)


@pytest.mark.parametrize(
    "error",
    [
        errors.DeadlineExceeded("late"),
        errors.ModelNotFound("no such model"),
        errors.ResourceExhausted("full", retry_after=1),
        errors.Unavailable("the model is away", metadata={"peer": "llm"}),
    ],
    ids=lambda e: type(e).__name__,
)
async def test_what_is_not_the_generators_absence_is_no_reason_to_quote(
    error: errors.AppError,
) -> None:
    with pytest.raises(type(error)):
        await answering(writing=FakeWriting(error=error)).answer("kim", question())
    streaming = answering(writing=FakeWriting(parts=(), error=error)).stream("kim", question())
    with pytest.raises(type(error)):
        _ = [event async for event in streaming]


async def test_what_the_generator_did_without_is_told() -> None:
    writing = FakeWriting([Words("done"), written(degraded=["language_model"])])
    answered = await answering(writing=writing).answer("kim", question())
    assert answered.found.journey.degraded == ["language_model"]


RERANK = Retrieval(top_k=2, rerank=True)


@pytest.mark.parametrize(
    "away",
    [
        errors.Unavailable("away"),
        errors.ModelLoading("wait"),
        errors.DeadlineExceeded("late"),
        errors.ResourceExhausted("full"),
    ],
    ids=lambda e: e.reason,
)
async def test_without_a_reranker_the_order_of_the_search_stays(away: errors.AppError) -> None:
    found = await answering(FakeEmbedding(unranked=away)).search("kim", "what?", RERANK)
    assert [item.passage.passage_id for item in found.passages] == ["a", "b"]
    assert found.journey.degraded == ["reranker"]
    assert "rerank" in found.journey.seconds


async def test_a_reranker_that_is_not_configured_is_an_error() -> None:
    embedding = FakeEmbedding(unranked=errors.NotConfigured("none"))
    with pytest.raises(errors.NotConfigured):
        await answering(embedding).search("kim", "what?", RERANK)


async def test_belief_is_told_to_the_generator_where_nothing_was_reranked_after_all() -> None:
    writing = FakeWriting()
    embedding = FakeEmbedding(unranked=errors.Unavailable("away"))
    await answering(embedding, writing=writing).answer("kim", question(RERANK))
    assert [item.evidence.score for item in writing.given[0]] == [0.7, 0.2]


@contextmanager
def seconds(left: float) -> Iterator[Call]:
    """A call with so many seconds left."""
    call = Call("id", Trace.new(), monotonic() + left)
    token = CALL.set(call)
    try:
        yield call
    finally:
        CALL.reset(token)


async def test_a_reranker_that_hangs_leaves_half_of_the_time_for_the_answer() -> None:
    with seconds(0.6) as call:
        answered = await answering(FakeEmbedding()).answer("kim", question(RERANK))
        assert call.remaining > 0.1
    assert answered.written.text == "done"
    assert answered.found.journey.degraded == ["reranker"]
    assert answered.found.journey.seconds["rerank"] >= 0.29


async def test_other_errors_go_through_as_they_are() -> None:
    broken = errors.Unavailable("away", retry_after=1)
    with pytest.raises(errors.Unavailable) as raised:
        await answering(FakeEmbedding(error=broken)).search("kim", "what?", Retrieval())
    assert raised.value is broken
