"""Answers of a language model: streamed, cited, checked, and stopped in time."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from rag_common import errors
from rag_generator.core import Answer, Citation, Event, Finish, Mode, Skipped, Task, Words
from rag_generator.evidence import Passage
from rag_generator.language import apology
from rag_generator.prompt import CURRENT, Template
from rag_generator.prompted import Prompted, Sampling
from tests.generator.neighbour import ScriptedModel

LEAVE = Passage(id="leave", text="연차 휴가는 한 해에 15일을 준다.", title="휴가 규정", score=0.9)
SICK = Passage(id="sick", text="병가는 한 해에 30일까지 쓸 수 있다.", title="휴가 규정", score=0.1)
QUESTION = "연차 휴가는 한 해에 며칠인가요?"
TASK = Task(QUESTION, (LEAVE, SICK))
GOOD = ("연차 휴가는", " 한 해에", " 15일을 준다", " [1]", ".")
BAD = ("회장은 ", "김철수이고 본사는 ", "부산에 있다 [1].")


async def events(model: ScriptedModel, task: Task = TASK, interval: float = 0.0) -> list[Event]:
    return [event async for event in Prompted(model, Template(), interval=interval).answer(task)]


async def answered(model: ScriptedModel, task: Task = TASK) -> Answer:
    last = (await events(model, task))[-1]
    assert isinstance(last, Answer)
    return last


def shown(found: list[Event]) -> list[str]:
    return [event.text for event in found if isinstance(event, Words)]


async def test_words_come_as_they_are_written_then_citations_then_the_answer() -> None:
    found = await events(ScriptedModel(*GOOD))
    assert [type(event) for event in found[-2:]] == [Citation, Answer]
    assert len(shown(found)) > 2
    assert "".join(shown(found)) == "연차 휴가는 한 해에 15일을 준다 [1]."


async def test_words_are_gathered_after_the_first() -> None:
    found = await events(ScriptedModel(*GOOD), interval=3600)
    assert shown(found) == ["연차 휴가는", " 한 해에 15일을 준다 [1]."]


async def test_the_answer_says_what_it_rests_on_and_what_it_took() -> None:
    whole = await answered(ScriptedModel(*GOOD))
    (citation,) = whole.citations
    assert (citation.passage_id, citation.quote) == ("leave", LEAVE.text)
    assert (whole.support, whole.skipped, whole.finish) == (1.0, None, Finish.STOP)
    assert (whole.input_tokens, whole.output_tokens) == (11, 7)
    assert (whole.model, whole.prompt_version) == ("scripted", CURRENT)


@pytest.mark.parametrize("finish", [Finish.LENGTH, Finish.CONTENT_FILTER])
async def test_the_models_reason_for_stopping_is_kept(finish: Finish) -> None:
    assert (await answered(ScriptedModel(*GOOD, finish=finish))).finish is finish


async def test_a_number_of_no_passage_is_never_shown() -> None:
    found = await events(ScriptedModel("연차 휴가는 한 해에 15일을 준다", " [", "7", "]", " [1]."))
    assert "".join(shown(found)) == "연차 휴가는 한 해에 15일을 준다 [1]."
    whole = found[-1]
    assert isinstance(whole, Answer)
    assert [citation.number for citation in whole.citations] == [1]


async def test_a_number_of_a_passage_cut_from_the_prompt_is_not_shown() -> None:
    model = ScriptedModel("연차 휴가는 한 해에 15일을 준다 [1][2].", context=600)
    whole = await answered(model, Task(QUESTION, (LEAVE, SICK), max_output_tokens=300))
    assert whole.text == "연차 휴가는 한 해에 15일을 준다 [1]."
    assert SICK.text not in model.asked[0][1]


async def test_the_model_is_asked_with_the_callers_sampling() -> None:
    model = ScriptedModel(*GOOD)
    await answered(model, Task(QUESTION, (LEAVE,), max_output_tokens=9, temperature=0.5, seed=3))
    (asked,) = model.asked
    assert asked[2] == Sampling(9, 0.5, 3)
    assert QUESTION in asked[1]


async def test_without_passages_the_model_is_not_asked() -> None:
    model = ScriptedModel(*GOOD)
    whole = await answered(model, Task("How many days?", ()))
    assert (whole.skipped, whole.text) == (
        Skipped.NO_PASSAGES,
        apology(Skipped.NO_PASSAGES, "en"),
    )
    assert model.asked == []


async def test_on_weak_evidence_the_model_is_not_asked() -> None:
    model = ScriptedModel(*GOOD)
    whole = await answered(model, Task("What is the parental benefit?", (LEAVE, SICK)))
    assert (whole.skipped, whole.text) == (
        Skipped.WEAK_EVIDENCE,
        apology(Skipped.WEAK_EVIDENCE, "en"),
    )
    assert model.asked == []


async def test_an_unsupported_answer_is_withheld() -> None:
    whole = await answered(ScriptedModel(*BAD))
    assert (whole.skipped, whole.text) == (
        Skipped.UNGROUNDED,
        apology(Skipped.UNGROUNDED, "ko"),
    )
    assert whole.citations == ()
    assert whole.support == 0
    assert whole.output_tokens == 7


async def test_an_unsupported_answer_is_kept_and_flagged_where_that_is_asked_for() -> None:
    whole = await answered(ScriptedModel(*BAD), Task(QUESTION, (LEAVE, SICK), mode=Mode.FLAG))
    assert whole.skipped is None
    assert whole.text == "".join(BAD)
    assert whole.support == 0


async def test_nothing_is_checked_where_checking_is_off() -> None:
    whole = await answered(ScriptedModel(*BAD), Task(QUESTION, (LEAVE, SICK), mode=Mode.OFF))
    assert (whole.claims, whole.text) == ((), "".join(BAD))


async def test_a_deadline_in_the_middle_keeps_what_was_written() -> None:
    model = ScriptedModel(*GOOD[:3], hangs=True)
    whole = await answered(model, Task(QUESTION, (LEAVE, SICK), seconds=0.5))
    assert whole.finish is Finish.DEADLINE
    assert whole.text == "".join(GOOD[:3])
    assert model.stopped


async def test_a_deadline_before_the_first_word_is_an_error() -> None:
    model = ScriptedModel(hangs=True)
    with pytest.raises(errors.DeadlineExceeded) as caught:
        await answered(model, Task(QUESTION, (LEAVE, SICK), seconds=0.3))
    assert caught.value.metadata["stage"] == "generate"
    assert model.stopped


async def test_leaving_stops_the_model() -> None:
    model = ScriptedModel(*GOOD, hangs=True)
    found = Prompted(model, Template(), interval=0).answer(TASK)
    assert isinstance(found, AsyncGenerator)
    async with aclosing(found):
        await anext(found)
    assert model.stopped


async def test_cancelling_stops_the_model() -> None:
    model = ScriptedModel(hangs=True)
    task = asyncio.create_task(answered(model))
    while not model.asked:
        await asyncio.wait([task], timeout=0.01)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert model.stopped


async def test_an_answer_as_long_as_the_context_is_refused_for_it_leaves_no_room() -> None:
    model = ScriptedModel(*GOOD, context=600)
    with pytest.raises(errors.InvalidArgument) as refused:
        await answered(model, Task(QUESTION, (LEAVE,), max_output_tokens=590))
    assert refused.value.violations[0].field == "options.max_output_tokens"
    assert model.asked == []
