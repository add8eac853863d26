"""The language of a question, and the few sentences that are the generator's own."""

import re

from rag_generator.core import Skipped

_HANGUL = re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")
_LATIN = re.compile(r"[A-Za-z]")

_SENTENCES = {
    ("ko", Skipped.NO_PASSAGES): "검색된 문서가 없어 답할 수 없습니다.",
    ("ko", Skipped.WEAK_EVIDENCE): "문서에서 이 질문에 대한 답을 찾을 수 없습니다.",
    ("ko", Skipped.UNGROUNDED): "문서로 뒷받침되는 답을 만들 수 없었습니다.",
    ("en", Skipped.NO_PASSAGES): "No documents were found, so this cannot be answered.",
    ("en", Skipped.WEAK_EVIDENCE): "The documents do not answer this question.",
    ("en", Skipped.UNGROUNDED): "No answer could be given that the documents support.",
}


def language(question: str, asked: str = "") -> str:
    """ko or en: what was asked for, else the language of the question.

    A Korean question holds Hangul even when most of its letters are names in Latin script, so a
    fifth is enough.
    """
    if asked:
        return "ko" if asked.lower().startswith("ko") else "en"
    hangul, latin = len(_HANGUL.findall(question)), len(_LATIN.findall(question))
    return "ko" if hangul * 5 > latin else "en"


def apology(reason: Skipped, tongue: str) -> str:
    """What to tell the user where there is no answer."""
    return _SENTENCES[tongue, reason]
