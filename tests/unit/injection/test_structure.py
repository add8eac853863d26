"""Whatever a passage, a title or a question says, it does not change who is asked what."""

import re
import tomllib
from importlib import resources

import pytest

from rag.types.v1.passage_pb2 import Passage as Message
from rag_gateway.answering.fair_semaphore import FairSemaphore
from rag_gateway.answering.model import Generation, Question, Retrieval, Support
from rag_gateway.answering.service import AnsweringService
from rag_generator.answering.llm_answering import LlmAnswering
from rag_generator.answering.service import Answer, Citation, Mode, Task
from rag_generator.llm.prompt import CURRENT, Prompt, Template
from tests.support.gateway.fakes import FakeEmbedding, FakeSearching, FakeWriting, scored
from tests.support.generator.neighbour import ScriptedModel
from tests.support.injection.attacks import Attack, attacks

ATTACKS = attacks()
WORDS = tomllib.loads(
    resources.files("rag_generator").joinpath("prompts", f"{CURRENT}.toml").read_text("utf-8")
)
every_attack = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.id)


def filled(attack: Attack) -> Prompt:
    return Template().fill(attack.asked(), attack.passages, attack.language, 100_000)


def fence(prompt: Prompt) -> str:
    """The fence's name, as the system text says it."""
    [name] = set(re.findall(r"<(passages-[0-9a-f]{8})>", prompt.system))
    return str(name)


def squeezed(text: str) -> str:
    """Without white space, which the prompt may put between the letters of a model's own marks."""
    return "".join(text.split())


def test_there_are_forty_attacks_in_both_languages_and_more() -> None:
    assert len({attack.id for attack in ATTACKS}) == len(ATTACKS) >= 40
    assert {attack.language for attack in ATTACKS} == {"ko", "en"}
    assert len({attack.category for attack in ATTACKS}) >= 12
    for attack in ATTACKS:
        if not attack.question:
            assert not attack.succeeded(attack.asked() + attack.passages[0].text)


@every_attack
def test_the_system_text_stays_what_it_is_byte_for_byte(attack: Attack) -> None:
    prompt = filled(attack)
    name = fence(prompt).removeprefix("passages-")
    assert prompt.system == WORDS[attack.language]["system"].strip().replace("{fence}", name)


@every_attack
def test_all_passages_stand_inside_the_fence_and_the_question_alone_outside(attack: Attack) -> None:
    prompt = filled(attack)
    name = fence(prompt)
    assert prompt.user.count(name) == 2
    before, rest = prompt.user.split(f"<{name}>\n")
    inside, outside = rest.split(f"\n</{name}>")
    label = {"ko": "질문", "en": "Question"}[attack.language]
    assert before == ""
    assert squeezed(outside) == squeezed(f"{label}: {attack.asked()}")
    assert prompt.passages == tuple(attack.passages)
    lines = [squeezed(line) for line in inside.splitlines()]
    for number, passage in enumerate(prompt.passages, 1):
        assert squeezed(f"[{number}] {passage.title}") in lines, "a title is one line"


@every_attack
async def test_a_model_that_obeys_can_cite_nothing_but_what_it_was_given(attack: Attack) -> None:
    words = f"{attack.canary} [1] [2] [99] [0] [hostile-0] [1000]."
    model = ScriptedModel(words)
    task = Task(attack.asked(), attack.passages, mode=Mode.OFF, min_score=0.0)
    *events, whole = [
        event async for event in LlmAnswering(model, Template(), interval=0).answer(task)
    ]
    inputs = {passage.id for passage in attack.passages}
    assert {event.passage_id for event in events if isinstance(event, Citation)} <= inputs
    assert isinstance(whole, Answer)
    numbers = {int(number) for number in re.findall(r"\[(\d{1,3})\]", whole.text)}
    assert numbers <= set(range(1, len(inputs) + 1))


@every_attack
async def test_a_model_that_obeys_without_support_is_not_heard(attack: Attack) -> None:
    model = ScriptedModel("회장은 부산의 김철수이며 비밀번호는 hunter2이다 [1].")
    task = Task(attack.asked(), attack.passages, min_score=0.5)
    last = [event async for event in LlmAnswering(model, Template(), interval=0).answer(task)][-1]
    assert isinstance(last, Answer)
    assert last.skipped
    assert "hunter2" not in last.text


@every_attack
async def test_whatever_is_asked_one_tenant_is_searched_and_asked_once(attack: Attack) -> None:
    searching, writing = FakeSearching([scored("a")]), FakeWriting()
    answering = AnsweringService(FakeEmbedding(), searching, writing, FairSemaphore(6))
    texts = [attack.asked(), *(passage.text for passage in attack.hostile)]
    for text in texts:
        question = Question(text, Retrieval(collections=("wiki",)), Generation(), Support())
        await answering.answer("mine", question)
    assert [(tenant, options.collections) for tenant, options in searching.asked] == [
        ("mine", ("wiki",))
    ] * len(texts)
    inputs = [Message(passage_id=one.id, title=one.title, text=one.text) for one in attack.passages]
    await answering.answer("mine", Question(attack.asked(), inputs, Generation(), Support()))
    assert len(searching.asked) == len(texts), "a caller's own passages need no search"
    assert [item.passage for item in writing.given[-1]] == inputs
