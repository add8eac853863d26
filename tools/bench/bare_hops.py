"""The floor of a Search's three hops: plain gRPC servers that exchange messages of its size and do nothing else.

python -m tools.bench.bare_hops gateway|embedder|retriever
"""

import sys
from itertools import islice
from typing import Any

import grpc
import numpy as np

from rag.embedder.v1 import embedder_service_pb2 as embedder
from rag.embedder.v1 import embedder_service_pb2_grpc as embedder_grpc
from rag.gateway.v1 import answer_service_pb2 as gateway
from rag.gateway.v1 import answer_service_pb2_grpc as gateway_grpc
from rag.retriever.v1 import retriever_service_pb2 as retriever
from rag.retriever.v1 import retriever_service_pb2_grpc as retriever_grpc
from rag.types.v1.passage_pb2 import Evidence, Passage, ScoredPassage, TextSpan
from rag.types.v1.vector_pb2 import DenseVector, SparseVector
from tools.bench.wording import passages

# Beside those of `make run` and of the second platform of a comparison.
PORTS = {"gateway": 50451, "embedder": 50452, "retriever": 50453}
_DIMENSIONS, _TERMS, _PASSAGES = 384, 12, 10


class _Embedder(embedder_grpc.EmbedderServiceServicer):
    def __init__(self) -> None:
        dense = DenseVector(data=np.ones(_DIMENSIONS, "<f4").tobytes())
        terms = range(_TERMS)
        sparse = SparseVector(
            indices=terms, values=[1.0] * _TERMS, terms=[f"term {term}" for term in terms]
        )
        one = embedder.Embedding(dense=dense, sparse=sparse, token_count=_TERMS)
        self._reply = embedder.EmbedResponse(embeddings=[one], fingerprint="0" * 16)

    async def Embed(self, request: embedder.EmbedRequest, context: Any) -> embedder.EmbedResponse:
        return self._reply


class _Retriever(retriever_grpc.RetrieverServiceServicer):
    def __init__(self) -> None:
        texts = islice(passages(), _PASSAGES)
        found = [_passage(number, text) for number, text in enumerate(texts)]
        self._reply = retriever.SearchResponse(passages=found, index_version="0" * 16)

    async def Search(
        self, request: retriever.SearchRequest, context: Any
    ) -> retriever.SearchResponse:
        return self._reply


class _Gateway(gateway_grpc.AnswerServiceServicer):
    def __init__(self) -> None:
        self._embedder = embedder_grpc.EmbedderServiceStub(_channel("embedder"))
        self._retriever = retriever_grpc.RetrieverServiceStub(_channel("retriever"))

    async def Search(self, request: gateway.SearchRequest, context: Any) -> gateway.SearchResponse:
        vectors = await self._embedder.Embed(
            embedder.EmbedRequest(texts=[request.query], task=embedder.TASK_QUERY)
        )
        [one] = vectors.embeddings
        found = await self._retriever.Search(
            retriever.SearchRequest(
                tenant_id="bench",
                collections=request.retrieval.collections,
                dense=one.dense,
                sparse=one.sparse,
                fingerprint=vectors.fingerprint,
                top_k=_PASSAGES,
            )
        )
        return gateway.SearchResponse(passages=found.passages)


def _passage(number: int, text: str) -> ScoredPassage:
    passage = Passage(
        passage_id=f"{number:036}",
        document_id="a document",
        collection="bench",
        title="a title",
        text=text,
        span=TextSpan(start=0, end=len(text), start_byte=0, end_byte=len(text.encode())),
        ordinal=number,
        version="0" * 16,
    )
    evidence = Evidence(score=0.5, dense_rank=number + 1, dense_score=0.8, sparse_rank=number + 1)
    return ScoredPassage(passage=passage, evidence=evidence)


def _channel(name: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(f"127.0.0.1:{PORTS[name]}")


async def serve(name: str) -> None:
    """Serve the named service until the process is ended."""
    server = grpc.aio.server()
    match name:
        case "gateway":
            gateway_grpc.add_AnswerServiceServicer_to_server(_Gateway(), server)
        case "embedder":
            embedder_grpc.add_EmbedderServiceServicer_to_server(_Embedder(), server)
        case _:
            retriever_grpc.add_RetrieverServiceServicer_to_server(_Retriever(), server)
    server.add_insecure_port(f"127.0.0.1:{PORTS[name]}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(sys.argv[1]))
