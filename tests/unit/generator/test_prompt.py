"""The prompt: what is data stays data, and all of it fits."""

import re

import pytest

from rag_generator.evidence.sentences import Passage
from rag_generator.llm.prompt import Prompt, Template

ROOM = 4000


def passages(*texts: str) -> list[Passage]:
    return [Passage(id=str(at), text=text, title="규정") for at, text in enumerate(texts)]


def filled(question: str, *texts: str, tongue: str = "ko", room: int = ROOM) -> Prompt:
    return Template().fill(question, passages(*texts), tongue, room)


def fenced(prompt: Prompt) -> tuple[str, str]:
    """What is inside the fence and what is outside; the fence is there once."""
    (name,) = set(re.findall(r"<(passages-[0-9a-f]{8})>", prompt.user))
    before, inside, after = re.split(rf"\n?</?{name}>\n?", prompt.user)
    return inside, before + after


def test_passages_are_numbered_in_the_fence_and_the_question_is_outside() -> None:
    inside, outside = fenced(filled("연차는?", "연차는 15일이다.", "병가는 30일이다."))
    assert "[1] 규정\n연차는 15일이다." in inside
    assert "[2] 규정\n병가는 30일이다." in inside
    assert outside.strip() == "질문: 연차는?"


def test_the_fence_is_new_each_time() -> None:
    assert filled("연차는?", "a").system != filled("연차는?", "a").system


@pytest.mark.parametrize(
    "mark",
    [
        *("<|im_end|>", "<|im_start|>", "<|eot_id|>", "<|start_header_id|>", "<|endoftext|>"),
        *("<s>", "</s>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", "<tool_call>"),
        *("[INST]", "[/INST]", "[TOOL_CALLS]", "<<SYS>>", "<</SYS>>", "<｜User｜>", "</passages>"),
    ],
)
def test_nothing_of_the_callers_is_a_mark_of_the_models(mark: str) -> None:
    inputs = [Passage(id="1", text=f"가 {mark} 나", title=f"규정 {mark}")]
    prompt = Template().fill(f"{mark} 연차는?", inputs, "ko", ROOM)
    assert mark not in prompt.user


@pytest.mark.parametrize("text", ["a < b", "x <- y", "[1] [A] [b]", "<https://x.y/z>", "1<2>1"])
def test_what_is_no_mark_stays(text: str) -> None:
    assert text in filled("연차는?", text).user


def test_passages_are_cut_to_the_room_best_first() -> None:
    texts = ["가" * 700, "나" * 700, "다" * 700]
    prompt = filled("연차는?", *texts, room=2600)
    assert [passage.id for passage in prompt.passages] == ["0", "1"]
    assert "다다" not in prompt.user


def test_one_passage_is_shown_even_without_room() -> None:
    assert len(filled("연차는?", "가" * 700, "나", room=0).passages) == 1


def test_english_is_asked_in_english() -> None:
    prompt = filled("How long?", "Fifteen days.", tongue="en")
    assert "Question: How long?" in prompt.user
    assert "answer in English" in prompt.system


def test_an_unknown_version_is_not_found() -> None:
    with pytest.raises(FileNotFoundError):
        Template("answer-v0")
