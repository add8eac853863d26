"""The extractive backend's answers."""

import pytest

from rag_generator.answering.extractive_answering import ExtractiveAnswering
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

LEAVE = Passage(
    id="leave",
    text="연차 휴가는 입사 1년이 지나면  15일을 준다. 연차는 3일 전에 팀장에게 신청한다.",
    title="휴가 규정",
    score=0.9,
)
WORK = Passage(id="work", text="재택근무는 주 2회까지 할 수 있다.", title="근무", score=0.1)
GIVEN = (LEAVE, WORK)


async def events(task: Task) -> list[Event]:
    return [event async for event in ExtractiveAnswering().answer(task)]


async def answered(task: Task) -> Answer:
    last = (await events(task))[-1]
    assert isinstance(last, Answer)
    return last


async def test_words_and_citations_come_before_the_answer_and_make_it() -> None:
    *parts, whole = await events(Task("연차는 며칠인가요?", GIVEN))
    assert isinstance(whole, Answer)
    assert "".join(part.text for part in parts if isinstance(part, TextDelta)) == whole.text
    assert tuple(part for part in parts if isinstance(part, Citation)) == whole.citations
    assert "15일" in whole.text
    assert whole.model == "extractive"
    assert whole.support == 1
    assert len(whole.claims) == len(whole.citations) > 0


async def test_offsets_point_at_the_quote_in_both_texts() -> None:
    whole = await answered(Task("연차는 며칠인가요?", GIVEN))
    texts = {passage.id: passage.text for passage in GIVEN}
    assert whole.citations
    for citation in whole.citations:
        quoted = texts[citation.passage_id][citation.quote_start : citation.quote_end]
        assert quoted == citation.quote
        assert whole.text[citation.start : citation.end] == " ".join(quoted.split())
        assert whole.text[citation.end :].startswith(f" [{citation.number}]")


async def test_a_passage_keeps_its_number() -> None:
    whole = await answered(Task("연차 휴가는 며칠을 주고 며칠 전에 신청하나요?", [LEAVE]))
    assert [citation.number for citation in whole.citations] == [1, 1]


async def test_no_passages_are_no_answer() -> None:
    whole = await answered(Task("연차는 며칠인가요?", ()))
    assert whole.skipped is Skipped.NO_PASSAGES
    assert whole.confidence is None
    assert whole.text == refusal_message(Skipped.NO_PASSAGES, "ko")


async def test_weak_evidence_is_refused() -> None:
    words, whole = await events(Task("Who is the finance chief?", GIVEN))
    assert isinstance(whole, Answer)
    assert whole.skipped is Skipped.WEAK_EVIDENCE
    assert words == TextDelta(refusal_message(Skipped.WEAK_EVIDENCE, "en"))
    assert not whole.citations


@pytest.mark.parametrize("mode", Mode)
async def test_only_refusing_withholds_what_is_below_the_callers_threshold(mode: Mode) -> None:
    whole = await answered(Task("연차는 며칠인가요?", GIVEN, mode=mode, min_score=1.0))
    assert whole.skipped is (Skipped.WEAK_EVIDENCE if mode is Mode.REFUSE else None)
    assert bool(whole.citations) is (mode is not Mode.REFUSE)
    assert whole.confidence
