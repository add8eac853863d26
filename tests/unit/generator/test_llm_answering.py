"""Answers of a language model: streamed, cited, checked, and stopped in time."""

import asyncio

import pytest

from rag_contract import errors
from rag_generator.answering.llm_answering import LlmAnswering
from rag_generator.answering.service import (
    Answer,
    Citation,
    Event,
    Mode,
    Skipped,
    Task,
    TextDelta,
    refusal_message,
)
from rag_generator.evidence.sentences import Passage
from rag_generator.llm.model import Finish, Sampling
from rag_generator.llm.prompt import CURRENT, Template
from tests.support.generator.neighbour import ScriptedModel

LEAVE = Passage(id="leave", text="연차 휴가는 한 해에 15일을 준다.", title="휴가 규정", score=0.9)
SICK = Passage(id="sick", text="병가는 한 해에 30일까지 쓸 수 있다.", title="휴가 규정", score=0.1)
QUESTION = "연차 휴가는 한 해에 며칠인가요?"
TASK = Task(QUESTION, (LEAVE, SICK))
GOOD = ("연차 휴가는", " 한 해에", " 15일을 준다", " [1]", ".")
BAD = ("회장은 ", "김철수이고 본사는 ", "부산에 있다 [1].")


async def events(model: ScriptedModel, task: Task = TASK, interval: float = 0.0) -> list[Event]:
    return [
        event async for event in LlmAnswering(model, Template(), interval=interval).answer(task)
    ]


async def answered(model: ScriptedModel, task: Task = TASK) -> Answer:
    last = (await events(model, task))[-1]
    assert isinstance(last, Answer)
    return last


def shown(found: list[Event]) -> list[str]:
    return [event.text for event in found if isinstance(event, TextDelta)]


async def test_words_come_as_they_are_written_then_citations_then_the_answer() -> None:
    result = await events(ScriptedModel(*GOOD))
    assert [type(event) for event in result[-2:]] == [Citation, Answer]
    assert len(shown(result)) > 2
    assert "".join(shown(result)) == "연차 휴가는 한 해에 15일을 준다 [1]."


async def test_words_are_gathered_after_the_first() -> None:
    result = await events(ScriptedModel(*GOOD), interval=3600)
    assert shown(result) == ["연차 휴가는", " 한 해에 15일을 준다 [1]."]


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


async def test_a_number_of_a_passage_cut_from_the_prompt_is_not_shown() -> None:
    model = ScriptedModel("연차 휴가는 한 해에 15일을 준다 [1][2].", context=600)
    whole = await answered(model, Task(QUESTION, (LEAVE, SICK), max_output_tokens=300))
    assert whole.text == "연차 휴가는 한 해에 15일을 준다 [1]."
    assert SICK.text not in model.asked[0][1]


async def test_the_model_is_asked_with_the_callers_sampling() -> None:
    model = ScriptedModel(*GOOD)
    await answered(model, Task(QUESTION, (LEAVE,), max_output_tokens=9, temperature=0.5, seed=3))
    (requested,) = model.asked
    assert requested[2] == Sampling(9, 0.5, 3)
    assert QUESTION in requested[1]


@pytest.mark.parametrize(
    ("passages", "reason"),
    [((), Skipped.NO_PASSAGES), ((LEAVE, SICK), Skipped.WEAK_EVIDENCE)],
    ids=["no passages", "weak evidence"],
)
async def test_without_evidence_the_model_is_not_called(
    passages: tuple[Passage, ...], reason: Skipped
) -> None:
    model = ScriptedModel(*GOOD)
    whole = await answered(model, Task("What is the parental benefit?", passages))
    assert (whole.skipped, whole.text) == (reason, refusal_message(reason, "en"))
    assert model.asked == []


@pytest.mark.parametrize("mode", Mode)
async def test_an_unsupported_answer_is_withheld_flagged_or_not_checked(mode: Mode) -> None:
    whole = await answered(ScriptedModel(*BAD), Task(QUESTION, (LEAVE, SICK), mode=mode))
    refused = mode is Mode.REFUSE
    message = refusal_message(Skipped.UNGROUNDED, "ko")
    assert whole.skipped is (Skipped.UNGROUNDED if refused else None)
    assert whole.text == (message if refused else "".join(BAD))
    assert bool(whole.citations) is not refused
    assert bool(whole.claims) is (mode is not Mode.OFF)
    assert mode is Mode.OFF or whole.support == 0
    assert whole.output_tokens == 7


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
