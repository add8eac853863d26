"""The embedding service: texts to dense and sparse vectors, relevance scores and tokens."""

import asyncio
import unicodedata
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from time import monotonic
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rag_contract import errors
from rag_embedder.embedding.query_cache import QueryCache, QueryKey
from rag_embedder.embedding.sparse import Bm25, SparseVector
from rag_embedder.embedding.tokens import Tokens
from rag_embedder.models.manifest import Manifest
from rag_embedder.queue.scheduler import ComputeResult, Priority

MAX_TEXTS = 256

# Analysing this many characters takes under a millisecond, less than a switch to a thread and back.
_INLINE_CHARACTERS = 256

Vector = npt.NDArray[np.float32]


class Model(Protocol):
    """The dense model's description and tokenizer; the caller prepends prompts to the texts."""

    @property
    def manifest(self) -> Manifest: ...

    @property
    def fingerprint(self) -> str: ...

    def tokenize(self, texts: list[str]) -> list[Tokens]:
        """The tokens of each text with the special ones, truncated to the model's maximum."""
        ...

    def decode(self, ids: Sequence[int]) -> list[str]:
        """The string of each token id."""
        ...


class Queue(Protocol):
    """The queue in front of the device. Raises ResourceExhausted if it is full."""

    async def run(
        self, batch: Sequence[list[int]], priority: Priority, tenant: str
    ) -> ComputeResult[Vector]: ...


class Reranker(Protocol):
    """A cross-encoder, which scores texts by their relevance to a query."""

    @property
    def name(self) -> str: ...

    async def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Relevance of each text, higher is better."""
        ...


@dataclass(frozen=True, slots=True)
class Engine:
    """Everything that must be loaded before the first request; `reranker` is None if not configured."""

    model: Model
    sparse: Bm25
    analyzer: str
    queue: Queue
    reranker: Reranker | None


@dataclass(frozen=True, slots=True)
class EmbedOptions:
    """How to embed: as a query or a document, which vectors, whether to truncate; for which tenant."""

    query: bool
    dense: bool = True
    sparse: bool = True
    truncate: bool = False
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class Embedding:
    """The vectors of one text, None if not requested; `tokens` counts them before truncation."""

    dense: Vector | None
    sparse: SparseVector | None
    tokens: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class EmbedResult:
    """Embeddings in the order of the texts, and the seconds of each stage."""

    embeddings: list[Embedding]
    fingerprint: str
    queue_seconds: float
    tokenize_seconds: float
    inference_seconds: float


class Embedder:
    """Embeds, reranks and tokenises. `engine` raises ModelLoading until the model is loaded.

    `queries` keeps the embeddings of single queries.
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        analysis: Executor,
        queries: QueryCache[Embedding],
        *,
        text_characters: int,
    ) -> None:
        self._engine = engine
        self._analysis = analysis
        self._queries = queries
        self._text_characters = text_characters

    async def embed(self, texts: Sequence[str], options: EmbedOptions) -> EmbedResult:
        """The vectors of each text, which is normalised to NFC first.

        Raises InvalidArgument; InputTooLong if a text has too many tokens and must not be truncated;
        ResourceExhausted if the queue is full; ModelLoading.
        """
        engine = self._engine()
        clean = self._validated("texts", texts)
        if not options.query or len(clean) > 1:
            return await self._computed(engine, clean, options)
        key = QueryKey(options.tenant, clean[0], options.dense, options.sparse, options.truncate)
        if known := self._queries.get(key):
            return EmbedResult([known], engine.model.fingerprint, 0.0, 0.0, 0.0)
        result = await self._computed(engine, clean, options)
        self._queries.put(key, _alone(result.embeddings[0]))
        return result

    async def _computed(
        self, engine: Engine, clean: list[str], options: EmbedOptions
    ) -> EmbedResult:
        started = monotonic()
        tokens, sparse = await self._prepare(engine, clean, options)
        tokenized = monotonic() - started
        _reject_overflow(tokens, engine.model.manifest.max_tokens, options)
        vectors, queued, computed = await _dense(engine, tokens, options)
        embeddings = [
            Embedding(
                vectors[i] if options.dense else None,
                sparse[i] if options.sparse else None,
                tokens[i].total if options.dense else 0,
                options.dense and tokens[i].truncated,
            )
            for i in range(len(clean))
        ]
        return EmbedResult(embeddings, engine.model.fingerprint, queued, tokenized, computed)

    async def rerank(self, query: str, texts: Sequence[str]) -> tuple[list[float], str]:
        """Relevance of each text, and the cross-encoder's name. Raises NotConfigured, InvalidArgument."""
        reranker = self._engine().reranker
        if not reranker:
            raise errors.NotConfigured(
                "no cross-encoder is configured", metadata={"subject": "reranker"}
            )
        [question] = self._validated("query", [query])
        return await reranker.scores(question, self._validated("texts", texts)), reranker.name

    async def tokenize(self, text: str, query: bool) -> tuple[list[str], Sequence[int], list[str]]:
        """The model's tokens, their ids, and the text's search terms."""
        engine = self._engine()
        [clean] = self._validated("text", [text])
        [tokens], [sparse] = await self._prepare(engine, [clean], EmbedOptions(query=query))
        return engine.model.decode(tokens.ids), tokens.ids, list(sparse.terms)

    def engine(self) -> Engine:
        """The loaded engine. Raises ModelLoading."""
        return self._engine()

    def _validated(self, field: str, texts: Sequence[str]) -> list[str]:
        if not 1 <= len(texts) <= MAX_TEXTS:
            raise errors.FieldInvalid.of(
                field, f"must have 1 to {MAX_TEXTS} texts, not {len(texts)}"
            )
        return [self._clean(_path(field, i), text) for i, text in enumerate(texts)]

    def _clean(self, path: str, text: str) -> str:
        clean = unicodedata.normalize("NFC", text)
        if len(clean) > self._text_characters:
            raise errors.InputTooLong.of(
                path, f"has {len(clean)} characters; the limit is {self._text_characters}"
            )
        if not clean.strip():
            raise errors.FieldInvalid.of(path, "is empty")
        return clean

    async def _prepare(
        self, engine: Engine, texts: list[str], options: EmbedOptions
    ) -> tuple[list[Tokens], list[SparseVector]]:
        def prepare() -> tuple[list[Tokens], list[SparseVector]]:
            weigh = engine.sparse.query if options.query else engine.sparse.document
            prompt = engine.model.manifest.prompts.get("query" if options.query else "passage", "")
            return (
                engine.model.tokenize([prompt + text for text in texts]) if options.dense else [],
                [weigh(text) for text in texts] if options.sparse else [],
            )

        if sum(map(len, texts)) <= _INLINE_CHARACTERS:
            return prepare()
        return await asyncio.get_running_loop().run_in_executor(self._analysis, prepare)


def _alone(embedding: Embedding) -> Embedding:
    """The embedding with a vector of its own: the model's is a row of its batch, and keeps all of that."""
    dense = embedding.dense
    return embedding if dense is None else replace(embedding, dense=dense.copy())


async def _dense(
    engine: Engine, tokens: list[Tokens], options: EmbedOptions
) -> tuple[list[Vector], float, float]:
    if not options.dense:
        return [], 0.0, 0.0
    priority = Priority.QUERY if options.query else Priority.DOCUMENT
    result = await engine.queue.run([item.ids for item in tokens], priority, options.tenant)
    return result.outputs, result.queue_seconds, result.compute_seconds


def _reject_overflow(tokens: list[Tokens], max_tokens: int, options: EmbedOptions) -> None:
    if options.truncate:
        return
    for index, item in enumerate(tokens):
        if item.truncated:
            raise errors.InputTooLong.of(
                f"texts[{index}]",
                f"has {item.total} tokens and the model's limit is {max_tokens}; "
                "shorten it, or set OVERFLOW_TRUNCATE",
            )


def _path(field: str, index: int) -> str:
    return f"{field}[{index}]" if field == "texts" else field
