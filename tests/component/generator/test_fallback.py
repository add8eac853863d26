"""A language model that is away: the extractive backend answers and says so, and nobody waits twice."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import pytest

from rag_contract import errors
from rag_generator.answering.extractive_answering import ExtractiveAnswering
from rag_generator.answering.llm_answering import LlmAnswering
from rag_generator.answering.service import Answer, Event, Mode, Skipped, Task, TextDelta
from rag_generator.evidence.sentences import Passage
from rag_generator.llm.circuit import CircuitBreaker, ModelGuard
from rag_generator.llm.model import LanguageModel, Sampling
from rag_generator.llm.prompt import Template
from tests.support.generator.neighbour import Reply, ScriptedModel, finish, serving, words
from tests.support.generator.service import running
from tests.support.rpc import logged
from tests.support.waiting import until

LEAVE = Passage(id="leave", text="연차 휴가는 한 해에 15일을 준다.", title="휴가 규정", score=0.9)
TASK = Task("연차 휴가는 한 해에 며칠인가요?", (LEAVE,))
GOOD = ("연차 휴가는 한 해에 ", "15일을 준다 [1].")
AWAY = errors.DependencyDown("the server does not answer", metadata={"peer": "llm"})


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def answering(
    model: LanguageModel, task: Task = TASK, guard: ModelGuard | None = None
) -> AsyncGenerator[Event, None]:
    call = (guard or ModelGuard(model, CircuitBreaker())).call
    fallback = ExtractiveAnswering()
    return LlmAnswering(model, Template(), interval=0, guard=call, fallback=fallback).answer(task)


async def answered(
    model: LanguageModel, task: Task = TASK, guard: ModelGuard | None = None
) -> Answer:
    last = [event async for event in answering(model, task, guard)][-1]
    assert isinstance(last, Answer)
    return last


async def test_without_the_model_the_passages_answer_and_say_so() -> None:
    result = [event async for event in answering(ScriptedModel(error=AWAY))]
    whole = result[-1]
    assert isinstance(whole, Answer)
    assert (whole.model, whole.degraded) == ("extractive", ("language_model",))
    assert "".join(event.text for event in result if isinstance(event, TextDelta)) == whole.text
    assert [citation.passage_id for citation in whole.citations] == ["leave"]


async def test_words_that_were_never_shown_are_no_beginning() -> None:
    whole = await answered(ScriptedModel(" [", error=AWAY))
    assert whole.degraded == ("language_model",)
    assert "15일을 준다" in whole.text


async def test_after_the_first_words_the_absence_is_an_error() -> None:
    events = answering(ScriptedModel(*GOOD, error=AWAY))
    assert isinstance(await anext(events), TextDelta)
    with pytest.raises(errors.Unavailable):
        _ = [event async for event in events]


@pytest.mark.parametrize(
    "error",
    [
        errors.DeadlineExceeded("late"),
        errors.ConcurrencyLimit("full"),
        errors.ModelNotFound("none"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_other_errors_are_the_callers(error: errors.AppError) -> None:
    with pytest.raises(type(error)):
        await answered(ScriptedModel(error=error))


async def test_weak_evidence_is_declined_by_the_fallback_too() -> None:
    weak = Passage(id="x", text="구내식당의 연차 점검은 열두 시에 한다.", score=0.3)
    whole = await answered(ScriptedModel(error=AWAY), Task(TASK.question, (weak,), min_score=0.7))
    assert whole.skipped is Skipped.WEAK_EVIDENCE
    flagged = Task(TASK.question, (weak,), mode=Mode.FLAG)
    assert (await answered(ScriptedModel(error=AWAY), flagged)).citations


async def test_leaving_stops_the_model() -> None:
    model = ScriptedModel(*GOOD, hangs=True)
    async with aclosing(answering(model)) as events:
        await anext(events)
    assert model.stopped


async def test_a_model_that_was_away_is_not_asked_for_some_seconds_and_then_again() -> None:
    model, clock = ScriptedModel(*GOOD), Clock()
    guard = ModelGuard(model, CircuitBreaker(5, clock))
    model.away = AWAY
    assert (await answered(model, guard=guard)).degraded
    model.away = None
    for seconds, requested in ((0.0, 1), (4.9, 1), (0.2, 2)):
        clock.now += seconds
        await answered(model, guard=guard)
        assert len(model.asked) == requested
    assert (await answered(model, guard=guard)).degraded == ()


async def test_while_one_question_tries_the_others_do_not_wait_for_it() -> None:
    model, clock = ScriptedModel(hangs=True, error=AWAY), Clock()
    circuit = CircuitBreaker(5, clock)
    circuit.record_failure()
    clock.now += 5
    first = asyncio.create_task(answered(model, guard=ModelGuard(model, circuit)))
    await until(lambda: len(model.asked) == 1, "the model is tried")
    assert (await answered(model, guard=ModelGuard(model, circuit))).degraded == ("language_model",)
    assert len(model.asked) == 1
    first.cancel()
    await asyncio.wait([first])


async def test_a_try_that_nobody_waited_for_is_followed_by_another() -> None:
    circuit = CircuitBreaker(5, clock := Clock())
    circuit.record_failure()
    clock.now = 5
    assert [circuit.allow(), circuit.allow()] == [True, False]
    clock.now = 10
    assert circuit.allow()


async def test_a_model_that_is_away_is_told_to_health_and_once_to_the_log() -> None:
    model, clock = ScriptedModel(*GOOD), Clock()
    guard = ModelGuard(model, CircuitBreaker(5, clock))
    model.away = AWAY
    await guard.ready()
    with logged() as lines:
        for _ in range(2):
            with pytest.raises(errors.Unavailable):
                await written(model, guard)
            with pytest.raises(errors.Unavailable):
                await guard.ready()
            clock.now += 5
        model.away = None
        await written(model, guard)
    await guard.ready()
    assert [line["up"] for line in lines.of("language_model")] == [False, True]


async def test_a_model_that_is_back_is_found_without_a_question() -> None:
    model, clock = ScriptedModel(*GOOD), Clock()
    guard = ModelGuard(model, CircuitBreaker(5, clock))
    model.away = AWAY
    await answered(model, guard=guard)
    for seconds, requests in ((0.0, 1), (5.0, 2), (4.9, 2), (0.2, 3), (1.0, 3)):
        clock.now += seconds
        with pytest.raises(errors.Unavailable):
            await guard.ready()
        assert len(model.asked) == requests
    model.away = None
    clock.now += 5
    await guard.ready()
    assert {sampling.max_tokens for _, _, sampling in model.asked[1:]} == {1}
    assert (await answered(model, guard=guard)).degraded == ()


async def test_a_word_that_is_late_leaves_the_model_to_the_next_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rag_generator.llm.circuit._PROBE_SECONDS", 0.1)
    model, clock = ScriptedModel(hangs=True), Clock()
    circuit = CircuitBreaker(5, clock)
    circuit.record_failure()
    clock.now = 5
    with pytest.raises(errors.Unavailable):
        await ModelGuard(model, circuit).ready()
    assert model.stopped
    assert circuit.allow()


@pytest.mark.parametrize(
    "refusal",
    [errors.InputTooLong("long"), errors.ConcurrencyLimit("full"), errors.ModelNotFound("none")],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("asking", ["a question", "readiness"])
async def test_a_model_that_refuses_is_there(refusal: errors.AppError, asking: str) -> None:
    model, clock = ScriptedModel(*GOOD), Clock()
    circuit = CircuitBreaker(5, clock)
    circuit.record_failure()
    clock.now = 5
    guard = ModelGuard(model, circuit)
    model.away = refusal
    if asking == "a question":
        with pytest.raises(type(refusal)):
            await written(model, guard)
    await guard.ready()
    assert circuit.closed


async def test_a_callers_own_deadline_says_nothing_of_the_model() -> None:
    model = ScriptedModel(hangs=True)
    guard = ModelGuard(model, CircuitBreaker())
    with pytest.raises(errors.DeadlineExceeded):
        await answered(model, replace(TASK, seconds=0.4), guard)
    await guard.ready()


async def test_a_server_that_hangs_is_waited_for_once_and_found_when_it_is_back() -> None:
    back = Reply(events=(*words(*GOOD), *finish("stop")))
    quick = {"openai_first_token_timeout": 0.3, "health_interval": 1}
    async with (
        serving(Reply(then="hang"), back) as server,
        running(server.url, **quick) as generator,
    ):
        for _ in range(2):
            assert list((await generator.ask()).degraded) == ["language_model"]
        assert len(server.requests) == 1
        await until(lambda: len(server.requests) == 2, "it is asked for a word", seconds=20)
        assert list((await generator.ask()).degraded) == []


async def written(model: LanguageModel, guard: ModelGuard) -> None:
    """A call of the model behind its guard, to the end."""
    with guard.call() as on_chunk:
        async for _ in model.write("system", "user", Sampling(16, 0.0, None)):
            on_chunk()
