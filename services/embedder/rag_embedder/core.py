"""The embedder's work: texts to dense and sparse vectors, in the order they came."""

import asyncio
import unicodedata
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rag_common import errors
from rag_embedder.batching import Outcome, Priority
from rag_embedder.manifest import Manifest
from rag_embedder.sparse import SparseVector
from rag_embedder.tokens import Tokens

MOST_TEXTS = 256

# Analysing this much text takes under a millisecond, less than handing it to a thread and back.
_INLINE_CHARACTERS = 256

Vector = npt.NDArray[np.float32]


class Model(Protocol):
    """The dense model's description and tokenizer; prompts are put before a text by the caller."""

    @property
    def manifest(self) -> Manifest: ...

    @property
    def fingerprint(self) -> str: ...

    def tokenize(self, texts: list[str]) -> list[Tokens]:
        """Tokens of each text with the special ones, cut to the model's length."""
        ...

    def spell(self, ids: Sequence[int]) -> list[str]:
        """The tokens' own spelling."""
        ...


class Sparse(Protocol):
    """Term weights of a text."""

    def document(self, text: str) -> SparseVector: ...

    def query(self, text: str) -> SparseVector: ...


class Queue(Protocol):
    """The way to the device. Raises ResourceExhausted where it is full."""

    async def run(
        self, batch: Sequence[list[int]], priority: Priority, payer: str
    ) -> Outcome[Vector]: ...


class Reranker(Protocol):
    """A cross-encoder."""

    @property
    def name(self) -> str: ...

    async def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Relevance of each text, higher is better."""
        ...


@dataclass(frozen=True, slots=True)
class Engine:
    """Everything that has to be loaded before the first text."""

    model: Model
    sparse: Sparse
    analyzer: str
    queue: Queue
    reranker: Reranker | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: as a query or a document, which vectors, whether cutting is allowed; for whom."""

    query: bool
    dense: bool = True
    sparse: bool = True
    truncate: bool = False
    payer: str = ""


@dataclass(frozen=True, slots=True)
class Embedding:
    """Vectors of one text, None where not wanted; `tokens` before any cut."""

    dense: Vector | None
    sparse: SparseVector | None
    tokens: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class Embedded:
    """Embeddings in the order of the texts; seconds spent."""

    embeddings: list[Embedding]
    fingerprint: str
    queue_seconds: float
    tokenize_seconds: float
    inference_seconds: float


class Embedder:
    """Embeds, reranks and tokenises. `engine` raises ModelLoading until the model is in memory."""

    def __init__(
        self, engine: Callable[[], Engine], analysis: Executor, *, text_characters: int
    ) -> None:
        self._engine = engine
        self._analysis = analysis
        self._text_characters = text_characters

    async def embed(self, texts: Sequence[str], wanted: Wanted) -> Embedded:
        """Vectors of each text, which is brought to NFC first.

        Raises InvalidArgument, InputTooLong where a text has too many tokens and may not be cut,
        ResourceExhausted where the queue is full, ModelLoading.
        """
        engine = self._engine()
        clean = self._checked("texts", texts)
        started = monotonic()
        tokens, sparse = await self._prepared(engine, clean, wanted)
        tokenized = monotonic() - started
        _refuse_overflow(tokens, engine.model.manifest.max_tokens, wanted)
        vectors, queued, computed = await _dense(engine, tokens, wanted)
        embeddings = [
            Embedding(
                vectors[i] if wanted.dense else None,
                sparse[i] if wanted.sparse else None,
                tokens[i].total if wanted.dense else 0,
                wanted.dense and tokens[i].truncated,
            )
            for i in range(len(clean))
        ]
        return Embedded(embeddings, engine.model.fingerprint, queued, tokenized, computed)

    async def rerank(self, query: str, texts: Sequence[str]) -> tuple[list[float], str]:
        """Relevance of each text, and the cross-encoder's name. Raises NotConfigured, InvalidArgument."""
        reranker = self._engine().reranker
        if not reranker:
            raise errors.NotConfigured(
                "no cross-encoder is configured", metadata={"subject": "reranker"}
            )
        [question] = self._checked("query", [query])
        return await reranker.scores(question, self._checked("texts", texts)), reranker.name

    async def tokenize(self, text: str, query: bool) -> tuple[list[str], Sequence[int], list[str]]:
        """The model's tokens, their ids, and the text's search terms."""
        engine = self._engine()
        [clean] = self._checked("text", [text])
        [tokens], [sparse] = await self._prepared(engine, [clean], Wanted(query=query))
        return engine.model.spell(tokens.ids), tokens.ids, list(sparse.terms)

    def engine(self) -> Engine:
        """What is loaded. Raises ModelLoading."""
        return self._engine()

    def _checked(self, field: str, texts: Sequence[str]) -> list[str]:
        if not 1 <= len(texts) <= MOST_TEXTS:
            raise errors.InvalidArgument.of(
                field, f"give 1 to {MOST_TEXTS} texts, not {len(texts)}"
            )
        return [self._clean(_path(field, i), text) for i, text in enumerate(texts)]

    def _clean(self, path: str, text: str) -> str:
        clean = unicodedata.normalize("NFC", text)
        if len(clean) > self._text_characters:
            raise errors.InputTooLong.of(
                path, f"has {len(clean)} characters; the limit is {self._text_characters}"
            )
        if not clean.strip():
            raise errors.InvalidArgument.of(path, "is empty")
        return clean

    async def _prepared(
        self, engine: Engine, texts: list[str], wanted: Wanted
    ) -> tuple[list[Tokens], list[SparseVector]]:
        def prepare() -> tuple[list[Tokens], list[SparseVector]]:
            weigh = engine.sparse.query if wanted.query else engine.sparse.document
            prompt = engine.model.manifest.prompts.get("query" if wanted.query else "passage", "")
            return (
                engine.model.tokenize([prompt + text for text in texts]) if wanted.dense else [],
                [weigh(text) for text in texts] if wanted.sparse else [],
            )

        if sum(map(len, texts)) <= _INLINE_CHARACTERS:
            return prepare()
        return await asyncio.get_running_loop().run_in_executor(self._analysis, prepare)


async def _dense(
    engine: Engine, tokens: list[Tokens], wanted: Wanted
) -> tuple[list[Vector], float, float]:
    if not wanted.dense:
        return [], 0.0, 0.0
    priority = Priority.QUERY if wanted.query else Priority.DOCUMENT
    outcome = await engine.queue.run([item.ids for item in tokens], priority, wanted.payer)
    return outcome.outputs, outcome.queue_seconds, outcome.compute_seconds


def _refuse_overflow(tokens: list[Tokens], most: int, wanted: Wanted) -> None:
    if wanted.truncate:
        return
    for index, item in enumerate(tokens):
        if item.truncated:
            raise errors.InputTooLong.of(
                f"texts[{index}]",
                f"has {item.total} tokens and the model takes {most}; "
                "shorten it, or ask for OVERFLOW_TRUNCATE",
            )


def _path(field: str, index: int) -> str:
    return f"{field}[{index}]" if field == "texts" else field
