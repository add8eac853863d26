"""Numbers in a model's words: those of passages it was given stay, all others go."""

import re
from collections.abc import Iterator, Sequence

from rag_common.sentences import sentences
from rag_generator.core import Citation
from rag_generator.evidence import Passage, read, weigh

_MARKER = re.compile(r"\s?\[(\d{1,3})\]")
_OPEN = re.compile(r"\s?\[\d{0,3}$|\s$")


class MarkerFilter:
    """Passes words through as they come, without markers that name no passage.

    What is held back when nothing more comes, a space or half a marker, is no part of the answer.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._held = ""

    def feed(self, words: str) -> str:
        """What can be shown of everything so far; the beginning of a marker is held back."""
        text = self._held + words
        opened = _OPEN.search(text)
        cut = opened.start() if opened else len(text)
        self._held = text[cut:]
        return self._checked(text[:cut])

    def _checked(self, text: str) -> str:
        return _MARKER.sub(lambda m: m[0] if 1 <= int(m[1]) <= self._count else "", text)


def without_markers(text: str) -> str:
    """The text with each marker blanked, so that offsets stay what they were."""
    return _MARKER.sub(lambda marker: " " * len(marker[0]), text)


def citations(text: str, passages: Sequence[Passage]) -> Iterator[Citation]:
    """One for each sentence and number, with the passage's sentence that comes nearest.

    `passages` are those of the prompt: number n is passages[n - 1].
    """
    for span in sentences(without_markers(text)):
        until = _end(text, span.end)
        numbers = dict.fromkeys(int(m[1]) for m in _MARKER.finditer(text, span.start, until))
        claim = without_markers(text[span.start : span.end]).strip()
        for number in numbers:
            yield _citation(number, passages[number - 1], claim, span.start, span.end)


def _end(text: str, end: int) -> int:
    """Markers behind a sentence's stop belong to it."""
    while marker := _MARKER.match(text, end):
        end = marker.end()
    return end


def _citation(number: int, passage: Passage, claim: str, start: int, end: int) -> Citation:
    found = weigh(claim, read([passage])).sentences
    if not found:
        return Citation(number, passage.id, start, end, passage.text, 0, len(passage.text))
    best = max(found, key=lambda sentence: sentence.coverage)
    span = best.span
    return Citation(number, passage.id, start, end, best.text, span.start, span.end)
