"""Negated words of a sentence, and opposites between a question and a sentence."""

import re


def opposed(question: str, text: str) -> bool:
    """Whether `text` has the opposite of a word of `question`, without the word (open, close)."""
    lower_question, lower_text = question.lower(), text.lower()
    return any(
        word.search(lower_question)
        and not opposite.search(lower_question)
        and opposite.search(lower_text)
        and not word.search(lower_text)
        for pair in _OPPOSITES
        for word, opposite in (pair, pair[::-1])
    )


def negated_words(sentence: str) -> list[str]:
    """The words that a negation in `sentence` applies to, in lower case, as written."""
    lower = sentence.lower()
    return [word for pattern in _PATTERNS for word in pattern.findall(lower)]


_OPPOSITES = tuple(
    (re.compile(first), re.compile(second))
    for first, second in (
        (
            r"(?<![가-힣])(?:[여연열][나는는다면고어]|열[리려]|개관|개장)|\bopen",
            r"(?<![가-힣])닫|폐관|폐장|\bclos(?:e|ing)",
        ),
        (r"시작|개시|\b(?:begin|start)", r"끝|종료|마치|마감|\b(?:end|finish)"),
        (r"출발|떠나|\bdepart|\bleave", r"도착|\barriv"),
        (r"입사|채용", r"퇴사|퇴직|사직"),
        (r"빌리|빌릴|대출|\bborrow", r"반납|\breturn"),
        (r"최대|최고|\bmaximum|\bat most", r"최소|최저|\bminimum|\bat least"),
        (r"평일|\bweekday", r"주말|휴일|\bweekend|\bholiday"),
        (r"국내|\bdomestic", r"해외|국외|\babroad|\binternational"),
        (r"\bbuy|\bpurchase|구매|구입", r"\bsell|판매"),
    )
)

# Bounded, because text without spaces would take quadratic time.
_WORD = r"(?<![가-힣])([가-힣]{1,16}?)"
_PATTERNS = (
    re.compile(rf"{_WORD}지(?:는|도|를)?\s*(?:않|못|아니|말)"),
    re.compile(rf"{_WORD}\s+수(?:가|는|도)?\s*없"),
    re.compile(rf"{_WORD}(?:이|가|은|는|도)\s+(?:없|아니|아닌|아님|불가)"),
    re.compile(rf"{_WORD}(?:을|를|이|가|은|는)?\s*(?:불가능?|금지)(?![가-힣]{{0,6}}지\s*않)"),
    re.compile(r"(?<![가-힣])(?:안|못)\s+([가-힣]{1,16})"),
    re.compile(
        r"(?:\bnot|n't|\bnever|\bcannot|\bwithout|\bno)\s+(?:be\s+|been\s+|any\s+)?([a-z]+)"
    ),
)
