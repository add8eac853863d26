"""The language of an answer."""

import pytest

from rag_common.text.language import language
from rag_generator.answering.service import Skipped, refusal_message


@pytest.mark.parametrize(
    ("question", "tongue"),
    [
        ("연차는 며칠인가요?", "ko"),
        ("Kubernetes Ingress Controller 설정은?", "en"),
        ("Vault AppRole은 어떻게 설정하나요?", "ko"),
        ("How many days of leave?", "en"),
        ("ㅇㅇ 뭐임", "ko"),
        ("2026?", "en"),
    ],
)
def test_a_fifth_of_hangul_makes_a_question_korean(question: str, tongue: str) -> None:
    assert language(question) == tongue


@pytest.mark.parametrize(
    ("asked", "tongue"), [("ko", "ko"), ("ko-KR", "ko"), ("KO", "ko"), ("en-US", "en")]
)
def test_what_is_asked_for_comes_first(asked: str, tongue: str) -> None:
    assert language("연차는 며칠인가요?", asked) == tongue
    assert language("How many days?", asked) == tongue


@pytest.mark.parametrize("reason", Skipped)
def test_every_reason_has_a_sentence_in_both_languages(reason: Skipped) -> None:
    korean, english = refusal_message(reason, "ko"), refusal_message(reason, "en")
    assert language(korean) == "ko"
    assert language(english) == "en"
