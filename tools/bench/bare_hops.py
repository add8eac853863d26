"""The floor of a search's three hops: plain gRPC servers that exchange its messages and do nothing else.

python -m tools.bench.bare_hops NAME EMBEDDER_PORT RETRIEVER_PORT GATEWAY_PORT serves one of them.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from google.protobuf.message import Message

from rag.embedder.v1 import embedder_service_pb2 as embedder
from rag.embedder.v1 import embedder_service_pb2_grpc as embedder_grpc
from rag.gateway.v1 import answer_service_pb2 as gateway
from rag.retriever.v1 import retriever_service_pb2 as retriever
from rag.retriever.v1 import retriever_service_pb2_grpc as retriever_grpc
from rag.types.v1.passage_pb2 import Evidence, Passage, ScoredPassage, TextSpan
from rag.types.v1.vector_pb2 import DenseVector, SparseVector
from rag_client.transport.channel import Gateway
from rag_local.child import end
from rag_local.program import free_port, listens, start_logged, wait_ready
from tools.bench.load import Way
from tools.bench.wording import passages

_NAMES = ("embedder", "retriever", "gateway")
_DIMENSIONS, _TERMS, _PASSAGES = 384, 12, 10


def _embedding() -> embedder.EmbedResponse:
    dense = DenseVector(data=np.ones(_DIMENSIONS, "<f4").tobytes())
    terms = [f"term {number}" for number in range(_TERMS)]
    sparse = SparseVector(indices=range(_TERMS), values=[1.0] * _TERMS, terms=terms)
    one = embedder.Embedding(dense=dense, sparse=sparse, token_count=_TERMS)
    return embedder.EmbedResponse(embeddings=[one], fingerprint="0" * 16)


def _passages() -> retriever.SearchResponse:
    texts = islice(passages(), _PASSAGES)
    found = [_passage(number, text) for number, text in enumerate(texts)]
    return retriever.SearchResponse(passages=found, index_version="0" * 16)


class _Gateway:
    def __init__(self, ports: Mapping[str, str]) -> None:
        self._embedder = embedder_grpc.EmbedderServiceStub(_channel(ports["embedder"]))
        self._retriever = retriever_grpc.RetrieverServiceStub(_channel(ports["retriever"]))

    async def search(self, request: gateway.SearchRequest, _context: Any) -> gateway.SearchResponse:
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


def _channel(port: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}")


@contextmanager
def bare_hops(folder: Path) -> Iterator[Way]:
    """The way to the three servers, which run inside the block, logging to `folder`. Raises StartFailed."""
    folder.mkdir(parents=True, exist_ok=True)
    ports = {name: free_port() for name in _NAMES}
    pids = {}
    with ExitStack() as stack:
        for name, port in ports.items():
            log = folder / f"bare-{name}.log"
            arguments = [name, *map(str, ports.values())]
            process = start_logged([sys.executable, "-m", "tools.bench.bare_hops", *arguments], log)
            stack.callback(end, process, 5)
            wait_ready(process, f"the bare {name}", log, partial(listens, port))
            pids[name] = process.pid
        gateway = Gateway(f"127.0.0.1:{ports['gateway']}")
        yield Way("three bare hops", gateway, lambda: "none", pids)


async def serve(name: str, ports: Mapping[str, str]) -> None:
    """Serve the named service until the process is ended."""
    server = grpc.aio.server()
    match name:
        case "gateway":
            method = _method(_Gateway(ports).search, gateway.SearchRequest)
            service, methods = "rag.gateway.v1.AnswerService", {"Search": method}
        case "embedder":
            method = _method(_replying(_embedding()), embedder.EmbedRequest)
            service, methods = "rag.embedder.v1.EmbedderService", {"Embed": method}
        case _:
            method = _method(_replying(_passages()), retriever.SearchRequest)
            service, methods = "rag.retriever.v1.RetrieverService", {"Search": method}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, methods)])
    server.add_insecure_port(f"127.0.0.1:{ports[name]}")
    await server.start()
    await server.wait_for_termination()


def _replying(reply: Message) -> Any:
    async def handler(_request: Message, _context: Any) -> Message:
        return reply

    return handler


def _method(handler: Any, request: type[Message]) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        handler, request.FromString, lambda reply: reply.SerializeToString()
    )


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(sys.argv[1], dict(zip(_NAMES, sys.argv[2:], strict=True))))
