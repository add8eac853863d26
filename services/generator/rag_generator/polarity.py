"""Which words of a sentence are denied, in Korean and English."""

import re


def denied(sentence: str) -> list[str]:
    """The words that a negation in `sentence` applies to, in lower case, as written."""
    lower = sentence.lower()
    return [word for pattern in _PATTERNS for word in pattern.findall(lower)]


# Bounded, as text without spaces would take the square of its length.
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
