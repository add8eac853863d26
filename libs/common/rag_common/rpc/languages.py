"""Which of our two languages a caller reads: Korean or English, by its accept-language header."""

import re
from collections.abc import Iterator

# A header is short; one that is not says nothing more after this.
_MOST_CHARACTERS = 1000
_RANGE = re.compile(
    r"\s*([a-z]{1,8}|\*)(?:[-_][a-z0-9]{1,8})*\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?",
    re.IGNORECASE,
)


def prefers_korean(header: str) -> bool:
    """Whether Korean comes before English among what the header accepts (RFC 9110, 12.5.4).

    Of equal weights the first counts. What is not of the grammar is passed over, and without a
    word of either language it is English.
    """
    weights: dict[str, float] = {}
    for language, weight in _accepted(header[:_MOST_CHARACTERS]):
        weights.setdefault(language, weight)
    others = weights.get("*", 0.0)
    korean, english = weights.get("ko", others), weights.get("en", others)
    if korean != english or not korean:
        return korean > english
    order = list(weights)
    return "ko" in order and ("en" not in order or order.index("ko") < order.index("en"))


def _accepted(header: str) -> Iterator[tuple[str, float]]:
    for item in header.split(","):
        found = _RANGE.fullmatch(item)
        if found:
            yield found[1].lower(), min(float(found[2] or 1), 1.0)
