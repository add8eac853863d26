"""Citation markers in a model's text: filters out invalid ones and resolves the others to citations."""

import re
from collections.abc import Iterator, Sequence

from rag_common.text.sentences import sentences
from rag_generator.answering.service import Citation
from rag_generator.evidence.sentences import Passage, read, weigh

_MARKER = re.compile(r"\s?\[(\d{1,3})\]")
_OPEN = re.compile(r"\s?\[\d{0,3}$|\s$")


class MarkerFilter:
    """Filters a text stream: removes markers whose number is not that of a passage.

    What it still withholds at the end, a space or a partial marker, is not part of the answer.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._pending = ""

    def feed(self, delta: str) -> str:
        """The next part of the filtered text; a possible beginning of a marker is withheld."""
        text = self._pending + delta
        partial = _OPEN.search(text)
        cut = partial.start() if partial else len(text)
        self._pending = text[cut:]
        return self._without_unknown(text[:cut])

    def _without_unknown(self, text: str) -> str:
        return _MARKER.sub(lambda m: m[0] if 1 <= int(m[1]) <= self._count else "", text)


def without_markers(text: str) -> str:
    """The text with each marker replaced by spaces, so that offsets do not change."""
    return _MARKER.sub(lambda marker: " " * len(marker[0]), text)


def citations(text: str, passages: Sequence[Passage]) -> Iterator[Citation]:
    """The citations of `text`: one for each sentence and number, quoting the passage's best sentence.

    `passages` are those of the prompt; number n refers to passages[n - 1].
    """
    for span in sentences(without_markers(text)):
        until = _end(text, span.end)
        numbers = dict.fromkeys(int(m[1]) for m in _MARKER.finditer(text, span.start, until))
        claim = without_markers(text[span.start : span.end]).strip()
        for number in numbers:
            yield _citation(number, passages[number - 1], claim, span.start, span.end)


def _end(text: str, end: int) -> int:
    """The end of a sentence with the markers that follow its full stop."""
    while marker := _MARKER.match(text, end):
        end = marker.end()
    return end


def _citation(number: int, passage: Passage, claim: str, start: int, end: int) -> Citation:
    candidates = weigh(claim, read([passage])).sentences
    if not candidates:
        return Citation(number, passage.id, start, end, passage.text, 0, len(passage.text))
    best = max(candidates, key=lambda sentence: sentence.coverage)
    span = best.span
    return Citation(number, passage.id, start, end, best.text, span.start, span.end)
