"""How much of a word stands in a text.

Korean is compared letter by letter (jamo), so that 지었다 meets 지어진, and by pairs of syllables,
so that compounds meet their parts.
"""

import re
import unicodedata
from dataclasses import dataclass

from rag_generator.stems import plain, stems


@dataclass(frozen=True, slots=True)
class Term:
    """A content word: its stem, and the same with its syllables taken apart."""

    stem: str
    letters: str

    @property
    def latin(self) -> bool:
        """Whether the stem is in Latin letters or digits, not Korean, Chinese or Japanese."""
        return self.stem[0] < "\u2e80"


@dataclass(frozen=True, slots=True)
class Folded:
    """A text made ready to be searched: decomposed words between spaces; and without spaces."""

    words: str
    squeezed: str
    syllables: str


def terms(text: str) -> list[Term]:
    """The content words of `text`, each once, in order."""
    return [Term(stem, _apart(stem)) for stem in stems(text)]


def folded(text: str) -> Folded:
    words = [found[0] for found in _RUN.finditer(plain(text))]
    apart = _apart(" ".join(words))
    return Folded(f" {apart} ", apart.replace(" ", ""), "".join(words))


def match(term: Term, text: Folded) -> float:
    """In [0, 1]: 1 where the stem occurs, less where only a part of a longer word does."""
    if term.latin:
        return _latin_match(term.stem, term.letters, text.words)
    if f" {term.letters}" in text.words:
        return 1.0
    if len(term.stem) > 1 and term.letters in text.squeezed:
        return 1.0
    return max(_shared_start(term.letters, text.words), _shared_pairs(term.stem, text.syllables))


_RUN = re.compile(r"[가-힣]+|[a-zà-öø-ÿ]+|\d+(?:\.\d+)*|[぀-ヿ㐀-鿿]+")


def _apart(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def _latin_match(stem: str, letters: str, words: str) -> float:
    if f" {letters} " in words:
        return 1.0
    if stem[0].isdigit():
        return 0.0
    return float((len(stem) > 3 and f" {letters}" in words) or f" {letters}s " in words)


def _shared_start(letters: str, words: str) -> float:
    """The share of the stem's letters that some word starts with, if more than half of them."""
    for size in range(len(letters) - 1, max(2, len(letters) // 2), -1):
        if f" {letters[:size]}" in words:
            return size / len(letters)
    return 0.0


def _shared_pairs(stem: str, syllables: str) -> float:
    """The share of the stem's pairs of syllables that occur, as in compounds written apart."""
    if len(stem) < 3:
        return 0.0
    pairs = [stem[i : i + 2] for i in range(len(stem) - 1)]
    return sum(pair in syllables for pair in pairs) / len(pairs)
