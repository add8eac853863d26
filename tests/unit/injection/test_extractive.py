"""The extractive backend obeys nobody; how often it quotes an attacker's sentence is bounded."""

import re

import pytest

from rag_generator.answering.extractive_answering import ExtractiveAnswering
from rag_generator.answering.service import Answer, Citation, Task
from tests.support.injection.attacks import HONEST, Attack, attacks

ATTACKS = [attack for attack in attacks() if not attack.question]
# Measured: see docs/injection.md. A sentence about the matter asked for may well be quoted.
MAX_QUOTED = 0.1
_NUMBER = re.compile(r"\s?\[\d{1,3}\]")


async def answered(attack: Attack) -> tuple[Answer, list[Citation]]:
    result = [
        event async for event in ExtractiveAnswering().answer(Task(attack.asked(), attack.passages))
    ]
    whole = result[-1]
    assert isinstance(whole, Answer)
    return whole, [event for event in result if isinstance(event, Citation)]


@pytest.mark.parametrize("attack", attacks(), ids=lambda attack: attack.id)
async def test_every_word_is_a_passages_own_and_every_number_a_citations(attack: Attack) -> None:
    whole, citations = await answered(attack)
    texts = {passage.id: passage.text for passage in attack.passages}
    rest = _NUMBER.sub("", whole.text)
    for citation in citations:
        quote = texts[citation.passage_id][citation.quote_start : citation.quote_end]
        assert citation.quote == quote
        rest = rest.replace(" ".join(_NUMBER.sub("", quote).split()), "")
    assert whole.skipped or not rest.strip()
    numbers = {int(number) for number in re.findall(r"\[(\d{1,3})\]", whole.text)}
    assert numbers == {citation.number for citation in citations}
    assert attack.question or "15" in whole.text or whole.skipped, "the honest answer is there"


async def test_an_attackers_words_are_seldom_quoted_and_never_as_anothers() -> None:
    quoted = []
    for attack in ATTACKS:
        whole, citations = await answered(attack)
        if attack.succeeded(whole.text):
            quoted.append(attack.id)
            assert {citation.passage_id for citation in citations} - {HONEST[attack.language].id}
    assert len(quoted) <= MAX_QUOTED * len(ATTACKS), quoted
