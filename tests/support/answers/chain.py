"""Question to answer in one process, with the real parts: parser, chunker, model, fusion, extraction.

Both lists are computed over all chunks instead of by an index; scores are those that the engines
give (cosine; BM25 with the inverse document frequency of Qdrant's `Modifier.Idf`).
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag_embedder.embedding.sparse import Bm25, SparseVector
from rag_embedder.runtimes.kiwi import KiwiAnalyzer
from rag_embedder.runtimes.onnx import OnnxModel
from rag_generator.evidence.selection import Extract, answer
from rag_generator.evidence.sentences import Passage
from rag_ingestor.chunking.chunks import ChunkSettings, SourceFile, split
from rag_ingestor.parsing.parse import Limits
from rag_retriever.index.model import Hit
from rag_retriever.search.fusion import fuse

_CANDIDATES, _TOP = 50, 10


@dataclass(frozen=True, slots=True)
class Entry:
    """A chunk as it is indexed: `context` is the text that vectors are made of."""

    id: str
    document: str
    title: str
    headings: tuple[str, ...]
    text: str

    @property
    def context(self) -> str:
        headings = [heading for heading in self.headings if heading != self.title]
        return "\n".join(part for part in (self.title, " > ".join(headings), self.text) if part)


def entries(name: str, content: bytes, title: str = "", media_type: str = "") -> list[Entry]:
    """The chunks of a document as the ingestor cuts it."""
    created = split(SourceFile(content, name, media_type), Limits(), ChunkSettings())
    shown = title or created.title
    return [
        Entry(f"{name}#{chunk.ordinal}", name, shown, chunk.headings, chunk.text)
        for chunk in created.chunks
    ]


class Embedding:
    """The platform's default model and analyser; vectors are kept in `cache`, if given, by text."""

    def __init__(self, models: Path, cache: Path | None = None) -> None:
        self._model = OnnxModel(models / "multilingual-e5-small-int8", lone_threads=2)
        self.bm25 = Bm25(KiwiAnalyzer())
        self._cache = cache

    def dense(self, texts: Sequence[str], task: str) -> NDArray[np.float32]:
        """Unit vectors [n, dims]; `task` is query or passage."""
        prompt = self._model.manifest.prompts.get(task, "")
        whole = [prompt + text for text in texts]
        keys = [hashlib.sha256(text.encode()).hexdigest()[:24] for text in whole]
        known = self._known()
        for key, text in zip(keys, whole, strict=True):
            if key not in known:
                [tokens] = self._model.tokenize([text])
                known[key] = self._model.encode([tokens.ids])[0]
        if self._cache is not None:
            np.savez(self._cache, **known)
        return np.stack([known[key] for key in keys])

    def _known(self) -> dict[str, NDArray[np.float32]]:
        if self._cache is None or not self._cache.exists():
            return {}
        with np.load(self._cache) as stored:
            return {key: stored[key] for key in stored.files}


class Chain:
    """A collection that can be asked."""

    def __init__(self, embedding: Embedding, chunks: Sequence[Entry]) -> None:
        self.chunks = list(chunks)
        self._embedding = embedding
        self._dense = embedding.dense([chunk.context for chunk in chunks], "passage")
        self._sparse = [embedding.bm25.document(chunk.context) for chunk in chunks]
        counts: Counter[int] = Counter()
        self._postings: dict[int, list[tuple[int, float]]] = {}
        for at, vector in enumerate(self._sparse):
            counts.update(vector.indices)
            for index, value in zip(vector.indices, vector.values, strict=True):
                self._postings.setdefault(index, []).append((at, value))
        total = len(self.chunks)
        self._idf = {
            index: math.log(1 + (total - count + 0.5) / (count + 0.5))
            for index, count in counts.items()
        }

    def ask(self, question: str, without: Iterable[str] = ()) -> Extract:
        """The answer, with the documents `without` left out of the search."""
        return answer(question, self.passages(question, without))

    def passages(self, question: str, without: Iterable[str] = ()) -> list[Passage]:
        """What the search gives the generator, best first."""
        return self.ranked(self._embedding.dense([question], "query")[0], question, without)

    def ranked(
        self, dense: NDArray[np.float32], question: str, without: Iterable[str] = ()
    ) -> list[Passage]:
        """The same with the question's vector at hand."""
        sparse = self._embedding.bm25.query(question)
        left_out = frozenset(without)
        result = fuse(
            self._dense_list(dense, left_out),
            lexical := self._sparse_list(sparse, left_out),
            query_terms=len(sparse.indices),
            coverage=self._coverage(sparse, lexical),
            limit=_TOP,
        )
        return [self._passage(self.chunks[item.key].id, item.score) for item in result]

    def _dense_list(self, vector: NDArray[np.float32], without: frozenset[str]) -> list[Hit]:
        scores = self._dense @ vector
        order = [at for at in np.argsort(-scores) if self.chunks[at].document not in without]
        return [Hit(int(at), float(scores[at])) for at in order[:_CANDIDATES]]

    def _sparse_list(self, query: SparseVector, without: frozenset[str]) -> list[Hit]:
        scores: Counter[int] = Counter()
        for index in query.indices:
            for at, value in self._postings.get(index, ()):
                if self.chunks[at].document not in without:
                    scores[at] += value * self._idf[index]
        return [Hit(at, score) for at, score in scores.most_common(_CANDIDATES)]

    def _coverage(self, query: SparseVector, lexical: Sequence[Hit]) -> float:
        if not lexical or not query.indices:
            return 1.0
        held = set(self._sparse[lexical[0].key].indices)
        return sum(index in held for index in query.indices) / len(query.indices)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {chunk.id: at for at, chunk in enumerate(self.chunks)}

    def _passage(self, id: str, score: float) -> Passage:
        chunk = self.chunks[self._places[id]]
        return Passage(id, chunk.text, chunk.title, score, chunk.headings)
