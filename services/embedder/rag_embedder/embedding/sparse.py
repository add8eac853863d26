"""Sparse BM25 vectors of texts; the index contributes the IDF (Qdrant `Modifier.Idf`)."""

import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

# Robertson and Zaragoza (2009), "The Probabilistic Relevance Framework": 1.2 < k1 < 2 and
# 0.5 < b < 0.8 do well in many collections. The mean length cannot be the corpus's own: a
# passage's vector must not depend on which passages came before it. 100 to 400 model tokens
# are some 50 to 200 terms.
_K1 = 1.2
_B = 0.75
_AVG_LEN = 128.0


class Analyzer(Protocol):
    """Splits text into the terms that are compared."""

    def terms(self, text: str) -> list[str]:
        """The terms of `text`, one for each occurrence; none if it has no words."""
        ...


@dataclass(frozen=True)
class SparseVector:
    """Non-zero dimensions of a text: `indices` are uint32, ascending and unique; `values` has the
    weight and `terms` the term of each."""

    indices: tuple[int, ...] = ()
    values: tuple[float, ...] = ()
    terms: tuple[str, ...] = ()


class Bm25:
    """Weights terms such that the dot product of a query and a passage, each product times
    the term's IDF, is the passage's Okapi BM25 score.

    `avg_len` is the usual number of terms in a passage, `k1` how slowly repetition saturates,
    `b` (0 to 1) how much the weights of long passages are reduced.
    """

    def __init__(
        self, analyzer: Analyzer, *, k1: float = _K1, b: float = _B, avg_len: float = _AVG_LEN
    ) -> None:
        if k1 < 0 or not 0 <= b <= 1 or avg_len <= 0:
            raise ValueError("k1 must be >= 0, b in [0, 1] and avg_len > 0")
        self._analyzer = analyzer
        self._k1 = k1
        self._b = b
        self._avg_len = avg_len

    def document(self, text: str) -> SparseVector:
        """The vector of a passage: tf * (k1 + 1) / (tf + k1 * (1 - b + b * len / avg_len))."""
        counts = Counter(self._analyzer.terms(text))
        norm = self._k1 * (1 - self._b + self._b * counts.total() / self._avg_len)
        return _vector({term: tf * (self._k1 + 1) / (tf + norm) for term, tf in counts.items()})

    def query(self, text: str) -> SparseVector:
        """The vector of a question: 1 for each distinct term, however often it occurs."""
        return _vector(dict.fromkeys(self._analyzer.terms(text), 1.0))


def term_index(term: str) -> int:
    """The dimension of a term: CRC-32 (ISO-HDLC, as in zlib) of its UTF-8, a uint32.

    The same in every process and release. Of 100,000 terms, about one pair collides.
    """
    return zlib.crc32(term.encode())


def _vector(weights: Mapping[str, float]) -> SparseVector:
    merged: dict[int, tuple[float, str]] = {}
    for term, weight in sorted(weights.items()):
        index = term_index(term)
        if index in merged:
            value, other = merged[index]
            merged[index] = value + weight, f"{other} {term}"
        else:
            merged[index] = weight, term
    indices = sorted(merged)
    return SparseVector(
        indices=tuple(indices),
        values=tuple(merged[index][0] for index in indices),
        terms=tuple(merged[index][1] for index in indices),
    )
