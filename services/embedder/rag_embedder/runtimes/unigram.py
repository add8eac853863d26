"""Unigram tokenisation in Python: the token ids of the tokenizers library, in a sixth of its memory.

A word's tokens are cached, so a question takes a third of the library's time; a passage of new words
takes twice as long, which is 1% of the time that the model then needs.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import inf
from pathlib import Path

from tokenizers import Tokenizer

from rag_embedder.embedding.tokens import Tokens
from rag_embedder.models import vocabulary

# The start of a word, in front of every one.
_SPACE = "▁"
# Below the least probable piece by this much, as in SentencePiece and in the tokenizers library.
_UNKNOWN_PENALTY = 10.0
_CACHED_WORDS = 32_768
# Longer ones are computed each time: they are rare, and the cache must stay bounded.
_LONGEST_CACHED = 32


class UnigramTokenizer:
    """Texts to token ids, truncated to `max_tokens`; safe to use from several threads.

    The words between white space are segmented one by one, each marked by U+2581 at its start.
    """

    def __init__(self, words: vocabulary.UnigramVocabulary, max_tokens: int) -> None:
        frame = words.frame
        self._pieces, self._scores = words.pieces, words.scores
        self._ids = dict(zip(words.pieces, range(len(words.pieces)), strict=True))
        self._longest = words.longest
        self._normalize = frame.normalizer.normalize_str if frame.normalizer else str
        special = frame.get_added_tokens_decoder()
        self._special = {str(token.content): number for number, token in special.items()}
        self._split = re.compile(f"({'|'.join(map(re.escape, self._special))})").split
        self._unknown, self._before, self._after = _around(frame)
        self._unknown_score = min(words.scores) - _UNKNOWN_PENALTY
        self._room = max_tokens - len(self._before) - len(self._after)
        self._cached = lru_cache(_CACHED_WORDS)(self._segment)

    @classmethod
    def read(cls, directory: Path, max_tokens: int) -> "UnigramTokenizer":
        """The tokenizer whose vocabulary was written to the directory."""
        return cls(vocabulary.read(directory), max_tokens)

    def tokenize(self, texts: list[str]) -> list[Tokens]:
        """The token ids of each text, special ones included; the caller adds prompts."""
        return [self._tokens(list(self._encode(text))) for text in texts]

    def decode(self, ids: Sequence[int]) -> list[str]:
        """The string of each token id, special ones included."""
        return [self._pieces[number] for number in ids]

    def _tokens(self, ids: list[int]) -> Tokens:
        total = len(self._before) + len(ids) + len(self._after)
        return Tokens([*self._before, *ids[: self._room], *self._after], total)

    def _encode(self, text: str) -> Iterator[int]:
        # Special tokens that a text spells out are recognized, as the library does.
        for part in self._split(text):
            if part in self._special:
                yield self._special[part]
                continue
            for word in self._normalize(part).split():
                find = self._cached if len(word) <= _LONGEST_CACHED else self._segment
                yield from find(_SPACE + word)

    def _segment(self, word: str) -> tuple[int, ...]:
        """The most probable pieces of a word, by the algorithm of Viterbi."""
        ids, scores, size = self._ids, self._scores, len(word)
        # Of the best segmentation that ends at each position: its score, its last piece's start and id.
        best = [0.0, *[-inf] * size]
        starts, last = [0] * (size + 1), [self._unknown] * (size + 1)
        for start in range(size):
            so_far = best[start]
            longest = self._longest.get(word[start], 1)
            for end in range(start + 1, min(start + longest, size) + 1):
                number = ids.get(word[start:end])
                if number is not None:
                    score = so_far + scores[number]
                elif end == start + 1:
                    number, score = self._unknown, so_far + self._unknown_score
                else:
                    continue
                if score > best[end]:
                    best[end], starts[end], last[end] = score, start, number
        return self._path(starts, last)

    def _path(self, starts: list[int], last: list[int]) -> tuple[int, ...]:
        """The ids along the best path, with neighbouring unknown characters as one token."""
        path: list[int] = []
        end = len(last) - 1
        while end:
            if last[end] != self._unknown or path[-1:] != [self._unknown]:
                path.append(last[end])
            end = starts[end]
        return tuple(reversed(path))


def _around(frame: Tokenizer) -> tuple[int, list[int], list[int]]:
    """The id of unknown pieces, and the special tokens before and after a text."""
    encoding = frame.encode("a")
    place = encoding.special_tokens_mask.index(0)
    return encoding.ids[place], encoding.ids[:place], encoding.ids[place + 1 :]
