"""Choice of Korean or English by the accept-language header."""

import re
from collections.abc import Iterator

# The rest of a longer header is ignored.
_MAX_CHARACTERS = 1000
_RANGE = re.compile(
    r"\s*([a-z]{1,8}|\*)(?:[-_][a-z0-9]{1,8})*\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?",
    re.IGNORECASE,
)


def prefers_korean(header: str) -> bool:
    """Whether the header prefers Korean to English (RFC 9110, 12.5.4).

    Of equal weights the first wins. Invalid items are ignored; English is the default.
    """
    weights: dict[str, float] = {}
    for language, weight in _accepted(header[:_MAX_CHARACTERS]):
        weights.setdefault(language, weight)
    others = weights.get("*", 0.0)
    korean, english = weights.get("ko", others), weights.get("en", others)
    if korean != english or not korean:
        return korean > english
    order = list(weights)
    return "ko" in order and ("en" not in order or order.index("ko") < order.index("en"))


def _accepted(header: str) -> Iterator[tuple[str, float]]:
    for item in header.split(","):
        match = _RANGE.fullmatch(item)
        if match:
            yield match[1].lower(), min(float(match[2] or 1), 1.0)
