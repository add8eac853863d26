"""The retriever's service on a free port, with the real embedded engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import numpy as np

from rag.retriever.v1 import retriever_service_pb2 as pb
from rag.retriever.v1.retriever_service_pb2_grpc import (
    RetrieverServiceStub,
    add_RetrieverServiceServicer_to_server,
)
from rag.types.v1.document_pb2 import Document
from rag.types.v1.passage_pb2 import TextSpan
from rag.types.v1.vector_pb2 import DenseVector, SparseVector
from rag_common.grpc.bootstrap import Service, serving
from rag_common.observability.setup import Telemetry
from rag_retriever.api.servicer import RetrieverServicer
from rag_retriever.engines.edge import EdgeCatalog
from rag_retriever.search.service import Retriever
from tests.support.rpc import Settings

DIMENSIONS = 8
FINGERPRINT = "finger"


@asynccontextmanager
async def retrieving(folder: Path) -> AsyncIterator[RetrieverServiceStub]:
    """A stub of the service on the embedded engine, with an index for the samples' vectors."""
    async with EdgeCatalog(folder) as opened:
        servicer = RetrieverServicer(Retriever(opened))
        service = Service(
            "rag.retriever.v1.RetrieverService", add_RetrieverServiceServicer_to_server, servicer
        )
        async with (
            serving([service], Settings(), Telemetry()) as ports,
            grpc.aio.insecure_channel(f"127.0.0.1:{ports.grpc}") as channel,
        ):
            stub = RetrieverServiceStub(channel)
            await stub.CreateIndex(
                pb.CreateIndexRequest(index="main", dimensions=DIMENSIONS, fingerprint=FINGERPRINT)
            )
            yield stub


def dense(seed: int) -> DenseVector:
    values = np.random.default_rng(seed).standard_normal(DIMENSIONS)
    return DenseVector(data=(values / np.linalg.norm(values)).astype("<f4").tobytes())


def sparse(*terms: int) -> SparseVector:
    return SparseVector(indices=sorted(terms), values=[1.0] * len(terms))


def chunk(ordinal: int, text: str = "본문") -> pb.VectorChunk:
    span = TextSpan(start=0, end=len(text), start_byte=0, end_byte=len(text.encode()))
    body = pb.TextChunk(ordinal=ordinal, text=text, span=span, headings=["제목"])
    return pb.VectorChunk(chunk=body, dense=dense(ordinal), sparse=sparse(1, ordinal + 2))


def header(
    name: str = "doc", version: str = "v1", chunks: int = 1, **given: str
) -> pb.UpsertHeader:
    document = Document(
        document_id=name, collection="wiki", title="제목", version=version, passage_count=chunks
    )
    document.metadata.update({"team": "hr"})
    return pb.UpsertHeader(
        **{"tenant_id": "team", "fingerprint": FINGERPRINT, "document": document, **given}
    )


def parts(head: pb.UpsertHeader, *chunks: pb.VectorChunk) -> list[pb.UpsertChunksRequest]:
    """The messages of an upsert, a chunk in each."""
    return [
        pb.UpsertChunksRequest(header=head),
        *(pb.UpsertChunksRequest(chunks=pb.VectorChunkBatch(chunks=[one])) for one in chunks),
    ]
