"""Documents of synthetic passages, written straight to the retriever with vectors made without the model."""

import asyncio
import time
from collections.abc import Sequence
from itertools import count, islice
from typing import Any

import numpy as np

from rag.embedder.v1 import embedder_service_pb2 as embedder
from rag.retriever.v1 import retriever_service_pb2 as pb
from rag.types.v1.document_pb2 import Document
from rag.types.v1.passage_pb2 import TextSpan
from rag.types.v1.vector_pb2 import DenseVector
from tools.bench.wording import passages

COLLECTION = "bench-growth"
TENANT = "demo"
_POOL = 192
_EMBED_BATCH = 32
_PASSAGES_A_DOCUMENT = 100
_PASSAGES_A_MESSAGE = 20
_WRITERS = 4
_GRAPH_SECONDS = 7200.0
_WRITE_SECONDS = 300.0
_POLL_SECONDS = 0.5
# Length of the noise added to a real vector, as a share of that vector's length.
_NOISE = 0.5


class Bulk:
    """Writes documents of synthetic passages to an index, which is empty at first.

    They are derived from passages that the model has embedded, so that questions match them.
    """

    def __init__(
        self, retriever: Any, texts: Sequence[str], embeddings: Sequence[Any], fingerprint: str
    ) -> None:
        self._retriever = retriever
        self._fingerprint = fingerprint
        self._texts = texts
        self._dense = np.array([np.frombuffer(one.dense.data, "<f4") for one in embeddings])
        self._sparse = [one.sparse for one in embeddings]
        self._random = np.random.default_rng(1)
        self._numbers = count()
        self.written = 0

    async def write(self, size: int) -> None:
        """Write until the index has `size` passages, several documents at once."""
        complete, rest = divmod(size - self.written, _PASSAGES_A_DOCUMENT)
        lengths = iter([_PASSAGES_A_DOCUMENT] * complete + ([rest] if rest else []))

        async def writer() -> None:
            for length in lengths:
                await self._document(next(self._numbers), length)

        await asyncio.gather(*(writer() for _ in range(_WRITERS)))
        self.written = size

    async def optimized(self) -> float | None:
        """The monotonic time at which the index has its graph, None if none is due. Raises TimeoutError."""
        due = False
        async with asyncio.timeout(_GRAPH_SECONDS):
            while True:
                reply = await self._retriever.GetIndex(pb.GetIndexRequest())
                if reply.index.state == pb.INDEX_STATE_READY:
                    return time.monotonic() if due else None
                due = True
                await asyncio.sleep(_POLL_SECONDS)

    async def _document(self, number: int, length: int) -> None:
        document = Document(
            document_id=f"bulk-{number}",
            collection=COLLECTION,
            version="1",
            title=f"Bulk {number}",
            passage_count=length,
        )
        header = pb.UpsertHeader(tenant_id=TENANT, document=document, fingerprint=self._fingerprint)
        parts = [pb.UpsertChunksRequest(header=header)]
        for first in range(0, length, _PASSAGES_A_MESSAGE):
            ordinals = range(first, min(first + _PASSAGES_A_MESSAGE, length))
            chunks = [self._chunk(ordinal) for ordinal in ordinals]
            parts.append(pb.UpsertChunksRequest(chunks=pb.VectorChunkBatch(chunks=chunks)))
        await self._retriever.UpsertChunks(parts, timeout=_WRITE_SECONDS)

    def _chunk(self, ordinal: int) -> pb.VectorChunk:
        """Text and terms of a random passage that the model has embedded, and a vector near that passage's."""
        place = int(self._random.integers(len(self._texts)))
        size = self._dense.shape[1]
        vector = self._dense[place] + _NOISE * self._random.standard_normal(size) / np.sqrt(size)
        text = self._texts[place]
        span = TextSpan(start=0, end=len(text), start_byte=0, end_byte=len(text.encode()))
        return pb.VectorChunk(
            chunk=pb.TextChunk(ordinal=ordinal, text=text, span=span),
            dense=DenseVector(data=(vector / np.linalg.norm(vector)).astype("<f4").tobytes()),
            sparse=self._sparse[place],
        )


async def open_bulk(retriever: Any, stub: Any) -> Bulk:
    """A bulk of nothing yet; the model embeds the passages from which it is derived."""
    texts = list(islice(passages(), _POOL))
    embeddings: list[Any] = []
    for first in range(0, len(texts), _EMBED_BATCH):
        reply = await stub.Embed(
            embedder.EmbedRequest(
                texts=texts[first : first + _EMBED_BATCH],
                task=embedder.TASK_DOCUMENT,
                representation=embedder.REPRESENTATION_BOTH,
            ),
            timeout=_WRITE_SECONDS,
        )
        embeddings += reply.embeddings
    return Bulk(retriever, texts, embeddings, reply.fingerprint)
