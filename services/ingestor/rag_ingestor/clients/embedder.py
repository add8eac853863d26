"""The client of the embedder's gRPC API."""

from collections.abc import AsyncIterator, Sequence

from rag.embedder.v1 import embedder_service_pb2 as pb
from rag.embedder.v1.embedder_service_pb2_grpc import EmbedderServiceStub
from rag.retriever.v1.retriever_service_pb2 import VectorChunk
from rag_common.grpc.peer import Peer
from rag_ingestor.chunking.model import Chunk
from rag_ingestor.clients.messages import text_chunk

_BATCH = 16


class Embedder:
    """Embeds chunks."""

    def __init__(self, peer: Peer, *, stream_timeout: float) -> None:
        self._peer = peer
        self._stub = EmbedderServiceStub(peer.channel)
        self._stream_timeout = stream_timeout

    async def fingerprint(self) -> str:
        """The fingerprint of the embedding model in use."""
        reply = await self._peer.unary(self._stub.GetModelInfo, pb.GetModelInfoRequest())
        return str(reply.fingerprint)

    async def chunks(
        self, title: str, chunks: Sequence[Chunk]
    ) -> AsyncIterator[Sequence[VectorChunk]]:
        """The chunks with the vectors of their text, title and headings, in batches, in order."""
        batches = [chunks[start : start + _BATCH] for start in range(0, len(chunks), _BATCH)]

        async def requests() -> AsyncIterator[pb.EmbedStreamRequest]:
            for batch in batches:
                yield pb.EmbedStreamRequest(
                    batch=pb.EmbedRequest(
                        texts=[_in_context(title, chunk) for chunk in batch],
                        task=pb.TASK_DOCUMENT,
                        overflow=pb.OVERFLOW_TRUNCATE,
                    )
                )

        replies = self._peer.stream(
            self._stub.EmbedStream, requests(), timeout=self._stream_timeout
        )
        sent = iter(batches)
        async for reply in replies:
            pairs = zip(next(sent), reply.batch.embeddings, strict=True)
            yield [
                VectorChunk(chunk=text_chunk(chunk), dense=item.dense, sparse=item.sparse)
                for chunk, item in pairs
            ]


def _in_context(title: str, chunk: Chunk) -> str:
    """The chunk's text below its title and headings, which give it context."""
    headings = [heading for heading in chunk.headings if heading != title]
    return "\n".join(part for part in (title, " > ".join(headings), chunk.text) if part)
