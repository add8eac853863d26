"""Matches the terms of a question or claim against texts.

Korean is compared letter by letter (jamo), so that 지었다 matches 지어진, and by pairs of syllables,
so that compounds match their parts.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from functools import cached_property

from rag_common.text.identifiers import Identifier, identifiers
from rag_generator.evidence.stems import content_words, plain


@dataclass(frozen=True, slots=True)
class Term:
    """A content word: its stem, and `letters`, the stem decomposed into jamo.

    For an identifier or a date, `exact` has its canonical terms, the most exact first. `predicate`
    and `generic` are as in ContentWord; `proper` is True for a name: capitalised within an English
    sentence, or in Latin letters within a Korean one.
    """

    stem: str
    letters: str
    predicate: bool = False
    generic: bool = False
    proper: bool = False
    exact: tuple[str, ...] = ()

    @property
    def latin(self) -> bool:
        """Whether the stem is in Latin letters or digits, not Korean, Chinese or Japanese."""
        return self.stem[0] < "\u2e80"


@dataclass(frozen=True)
class Folded:
    """A preprocessed text: `words` decomposed between spaces, `squeezed` without, `syllables` composed."""

    words: str
    squeezed: str
    syllables: str
    source: str = field(repr=False, default="")

    @cached_property
    def identifiers(self) -> frozenset[str]:
        """All canonical terms of the text's identifiers and dates, including parts of dates."""
        return frozenset(term for one in self._matches for term in one.terms)

    @cached_property
    def exact(self) -> frozenset[str]:
        """The most exact term of each identifier and date."""
        return frozenset(one.terms[0] for one in self._matches)

    @cached_property
    def _matches(self) -> tuple[Identifier, ...]:
        return tuple(identifiers(unicodedata.normalize("NFKC", self.source)))


def terms(text: str) -> list[Term]:
    """The content words of `text`, identifiers first, each once, in order."""
    normalized = unicodedata.normalize("NFKC", text)
    named = list(identifiers(normalized))
    exact = dict.fromkeys(one.terms for one in named)
    rest = list(normalized)
    for one in named:
        # A digit in its place, so that what follows directly is treated as a particle or a unit.
        rest[one.start : one.end] = " " * (one.end - one.start - 1) + "0"
    words = content_words("".join(rest)) if named else content_words(normalized)
    proper = {word.stem for name in _NAME.findall(normalized) for word in content_words(name)}
    return [
        *(Term(forms[0], _decomposed(forms[0]), exact=forms) for forms in exact),
        *(
            Term(w.stem, _decomposed(w.stem), w.predicate, w.generic, w.stem in proper)
            for w in words
            if w.stem != "0"
        ),
    ]


def folded(text: str) -> Folded:
    """Preprocess a text for `match`."""
    words = [run[0] for run in _RUN.finditer(plain(text))]
    decomposed = _decomposed(" ".join(words))
    return Folded(f" {decomposed} ", decomposed.replace(" ", ""), "".join(words), text)


def match(term: Term, text: Folded) -> float:
    """How well `text` contains `term`, in [0, 1]: 1 if the stem occurs, less if only parts of it do."""
    if term.exact:
        return _exact_match(term, text)
    if term.latin:
        return _latin_match(term.stem, term.letters, text.words)
    if f" {term.letters}" in text.words:
        return 1.0
    if len(term.stem) > 1 and term.letters in text.squeezed:
        return 1.0
    return max(_shared_start(term.letters, text.words), _shared_pairs(term.stem, text.syllables))


# The match of another spelling of an identifier (ABX1204 for ABX-1204); and of a date by its full
# form, by month and day alone, and by year and month alone: texts often leave out the year.
_OTHER_SPELLING, _PART_OF_DATE = 0.4, (1.0, 0.7, 0.4)
_SEPARATORS = str.maketrans("", "", "-_./@&")


_NAME = re.compile(r"(?<=[a-z,;:'] )[A-Z][A-Za-z]+|\b[A-Za-z]{2,}(?=\s?[가-힣])|\b[A-Z]{2,}\b")
_RUN = re.compile(r"[가-힣]+|[a-zà-öø-ÿ]+|\d+(?:\.\d+)*|[぀-ヿ㐀-鿿]+")


def _decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def _exact_match(term: Term, text: Folded) -> float:
    if len(term.exact) > 1:
        shares = zip(term.exact, _PART_OF_DATE, strict=True)
        return max((share for form, share in shares if form in text.exact), default=0.0)
    present = text.identifiers
    if term.stem in present:
        return 1.0
    bare = term.stem.translate(_SEPARATORS)
    if any(other.translate(_SEPARATORS) == bare for other in present):
        return _OTHER_SPELLING
    return 0.0


def _latin_match(stem: str, letters: str, words: str) -> float:
    if f" {letters} " in words:
        return 1.0
    if stem[0].isdigit():
        return 0.0
    if len(stem) > 3 and f" {letters}" in words:
        return 1.0
    return float(any(f" {letters}{ending} " in words for ending in ("s", "es", "ed", "ing")))


def _shared_start(letters: str, words: str) -> float:
    """The share of the stem's letters with which a word starts, if it is more than half."""
    for size in range(len(letters) - 1, max(2, len(letters) // 2), -1):
        if f" {letters[:size]}" in words:
            return size / len(letters)
    return 0.0


def _shared_pairs(stem: str, syllables: str) -> float:
    """The share of the stem's pairs of syllables that occur, as in compounds written separately."""
    if len(stem) < 3:
        return 0.0
    pairs = [stem[i : i + 2] for i in range(len(stem) - 1)]
    return sum(pair in syllables for pair in pairs) / len(pairs)
