"""Splits Korean into morphemes with Kiwi, and other scripts into words."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from threading import Lock

import snowballstemmer  # type: ignore[import-untyped]
from kiwipiepy import Kiwi, Token

from rag_common.text.identifiers import identifiers

# Kiwi's tags: https://github.com/bab2min/kiwipiepy#품사-태그. Particles, endings, copulas and
# auxiliaries carry no topic: with them, BM25 loses ten points of nDCG on short passages.
_CONTENT = frozenset({"NNG", "NNP", "NNB", "NR", "NP", "XR", "MAG", "MAJ", "MM", "IC"})
_PREDICATE = frozenset({"VV", "VA"})
_NOUN = frozenset({"NNG", "NNP"})
_COMPOUND = _NOUN | {"NNB", "NR", "XR", "XPN", "XSN", "SL", "SN", "SH"}

# English words without a topic. Among Korean passages even these are rare, so IDF would take an
# English question's "is" for its subject. In capitals they are names: IT, US, WHO.
_TOPICLESS = (
    "a about after all also am an and any are as at be because been before being between both but"
    " by can could did do does doing during each for from had has have having he her here hers him"
    " his how i if in into is it its me more most my of on or other our ours s shall she should so"
    " some such t than that the their theirs them then there these they this those through to too"
    " under until up us very was we were what when where which while who whom whose why will with"
    " would you your yours"
)
_STOP_WORDS = frozenset(_TOPICLESS.split())

_HANGUL = "가-힣"
# Scripts without spaces between words: Thai, Lao, Burmese, Khmer, kana and Han.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
# `\w` leaves out combining marks; the vowels of Indic scripts are such marks.
_MARKS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"

_SYLLABLE = re.compile(f"[{_HANGUL}]")
_WORD = re.compile(
    r"(?P<number>(?<![\d.,])(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+)(?![.,]?\d))"
    rf"|(?P<unspaced>[{_UNSPACED}]+)"
    rf"|(?P<word>(?:(?![{_HANGUL}{_UNSPACED}])[^\W_]|[{_MARKS}])+)"
)
_LETTERS_OR_DIGITS = re.compile(r"\d+|\D+")
_POSSESSIVE = re.compile(r"(?<=\w)['’][sS]\b")
_INVISIBLE = dict.fromkeys((0x00AD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))

_SHORTEST_COMPOUND = 4
_CACHED_WORDS = 65_536


class KiwiAnalyzer:
    """Terms of text in any language; safe to use from several threads.

    Loading takes a second or two and some 300 MB: one instance a process. Texts without Hangul
    never reach Kiwi. `REVISION` is the version of the resulting terms: raise it when they change.
    Documents of an earlier revision still match by the terms that both have.
    """

    REVISION = 2

    def __init__(self) -> None:
        # The dictionary of multi-word names doubles the memory and improves no result.
        self._kiwi = Kiwi(num_workers=1, load_multi_dict=False)
        self._kiwi.tokenize("")
        self._parts = lru_cache(_CACHED_WORDS)(self._split)
        self._stem = lru_cache(_CACHED_WORDS)(_english_stemmer())

    def terms(self, text: str) -> list[str]:
        """Nouns and adverbs as they are, verbs and adjectives in dictionary form, compounds
        complete and in parts, words and numbers casefolded, English words stemmed; identifiers and
        dates complete (see `rag_common.text.identifiers`) beside their parts."""
        clean = _normalized(text)
        terms = [term for word in _words(clean) for term in self._forms(word)]
        terms += _complete_identifiers(clean)
        if _SYLLABLE.search(clean):
            terms += self._morphemes(self._kiwi.tokenize(clean))
        return terms

    def _forms(self, word: str) -> Iterator[str]:
        if not word.isalnum() or word.isalpha() or word.isdigit():
            yield self._stem(word) if word.isascii() else word
            return
        yield word
        yield from _LETTERS_OR_DIGITS.findall(word)

    def _morphemes(self, tokens: Iterable[Token]) -> Iterator[str]:
        compound: list[Token] = []
        for token in tokens:
            if not (compound and _joins(compound[-1], token)):
                yield from _joined(compound)
                compound = []
            if token.tag in _COMPOUND:
                compound.append(token)
            yield from self._morpheme(token)
        yield from _joined(compound)

    def _morpheme(self, token: Token) -> Iterator[str]:
        tag = token.tag.partition("-")[0]
        if tag in _PREDICATE:
            yield token.lemma
        elif tag in _CONTENT and _SYLLABLE.search(token.form):
            yield token.form
            if tag in _NOUN and len(token.form) >= _SHORTEST_COMPOUND:
                yield from self._parts(token.form)

    def _split(self, noun: str) -> tuple[str, ...]:
        """The nouns of which a noun of Kiwi's dictionary is composed; none if it is simple."""
        parts = self._kiwi.tokenize(noun, blocklist=[noun])
        if len(parts) < 2 or any(p.tag not in _NOUN or len(p.form) < 2 for p in parts):
            return ()
        return tuple(part.form for part in parts)


def _normalized(text: str) -> str:
    """NFKC without unencodable and invisible characters."""
    if text.isascii():
        return text
    visible = text.encode("utf-8", "replace").decode().translate(_INVISIBLE)
    return unicodedata.normalize("NFKC", visible)


def _words(text: str) -> Iterator[str]:
    for match in _WORD.finditer(_POSSESSIVE.sub("", text)):
        word = match.group()
        if match.lastgroup == "number":
            yield word.replace(",", "")
        elif match.lastgroup == "unspaced" and len(word) > 1:
            yield from (first + second for first, second in pairwise(word))
        elif not _is_stop_word(word):
            yield unicodedata.normalize("NFKC", word.casefold())


def _complete_identifiers(text: str) -> Iterator[str]:
    """The identifiers that `_words` splits at punctuation; it does not split letters and digits."""
    for identifier in identifiers(text):
        yield from (term for term in identifier.terms if not term.isalnum())


def _is_stop_word(word: str) -> bool:
    in_capitals = len(word) > 1 and word.isupper()
    return not in_capitals and word.lower() in _STOP_WORDS


def _joins(left: Token, right: Token) -> bool:
    return right.tag in _COMPOUND and left.start + left.len == right.start


def _joined(compound: list[Token]) -> Iterator[str]:
    if len(compound) < 2:
        return
    joined = "".join(token.form for token in compound).casefold()
    if _SYLLABLE.search(joined):
        yield joined


def _english_stemmer() -> Callable[[str], str]:
    """Snowball's Porter2 stemmer, behind a lock: it is not safe to use from several threads."""
    stemmer = snowballstemmer.stemmer("english")
    lock = Lock()

    def stem(word: str) -> str:
        with lock:
            stemmed: str = stemmer.stemWord(word)
        return stemmed

    return stem
