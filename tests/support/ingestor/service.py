"""The ingestor's service on a free port, with real splitting, in front of neighbours that remember."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc

from rag.ingestor.v1 import ingestor_service_pb2 as pb
from rag.ingestor.v1.ingestor_service_pb2_grpc import (
    IngestorServiceStub,
    add_IngestorServiceServicer_to_server,
)
from rag.types.v1.document_pb2 import Document
from rag.types.v1.passage_pb2 import Passage
from rag_common.grpc.bootstrap import Service, serving
from rag_common.observability.metrics import Metrics
from rag_common.observability.setup import Telemetry
from rag_contract import errors
from rag_ingestor.api.servicer import IngestorServicer
from rag_ingestor.api.uploads import UploadBudget
from rag_ingestor.chunking.chunks import ChunkSettings, SourceFile, Split, split
from rag_ingestor.parsing.parse import MEDIA_TYPES
from rag_ingestor.parsing.parsed import Limits
from rag_ingestor.pipeline.service import IngestionService
from rag_ingestor.telemetry.metrics import IngestorMetrics
from tests.support.ingestor.fakes import FakeEmbedding, FakeStoring
from tests.support.rpc import Settings

MAX_BYTES = 2**20


@dataclass
class Here:
    """Splits in this process; `gate` holds that back."""

    gate: asyncio.Event | None = None
    waiting: int = 0

    async def split(self, file: SourceFile) -> Split:
        self.waiting += 1
        if self.gate:
            await self.gate.wait()
        return split(file, Limits(), ChunkSettings())


class Repository(FakeStoring):
    """The index, with what is stored in it."""

    async def documents(
        self, tenant: str, collection: str, page_size: int, page_token: str
    ) -> tuple[list[Document], str]:
        found = [
            document
            for (owner, name, _), (document, _) in self.kept.items()
            if owner == tenant and collection in ("", name)
        ]
        return found[:page_size], ""

    async def passages(
        self, tenant: str, collection: str, document_id: str, first: int, page_size: int
    ) -> list[Passage]:
        _, chunks = self._found(tenant, collection, document_id)
        return [Passage(text=text) for text in chunks[first : first + page_size]]

    async def delete(self, tenant: str, collection: str, document_id: str) -> int:
        _, chunks = self._found(tenant, collection, document_id)
        del self.kept[tenant, collection, document_id]
        return len(chunks)

    def _found(self, *key: str) -> tuple[Document, list[str]]:
        if key not in self.kept:
            raise errors.DocumentNotFound("document not found")
        return self.kept[key]  # type: ignore[index]


@dataclass
class Ingesting:
    """A running ingestor and what stands behind it."""

    stub: IngestorServiceStub
    repository: Repository
    embedding: FakeEmbedding
    splitting: Here


@asynccontextmanager
async def ingesting(max_bytes: int = MAX_BYTES) -> AsyncIterator[Ingesting]:
    """A stub of the service; all documents together may have four times `max_bytes`."""
    repository, embedding, splitting = Repository(), FakeEmbedding(), Here()
    servicer = IngestorServicer(
        splitting,
        IngestionService(splitting, embedding, repository, slots=8),
        repository,
        UploadBudget(max_bytes, IngestorMetrics(Metrics())),
        MEDIA_TYPES,
    )
    service = Service(
        "rag.ingestor.v1.IngestorService", add_IngestorServiceServicer_to_server, servicer
    )
    async with (
        serving([service], Settings(), Telemetry()) as ports,
        grpc.aio.insecure_channel(f"127.0.0.1:{ports.grpc}") as channel,
    ):
        yield Ingesting(IngestorServiceStub(channel), repository, embedding, splitting)


def header(**given: str) -> pb.IngestHeader:
    return pb.IngestHeader(**{"tenant_id": "kim", "collection": "wiki", **given})


def parts(head: pb.IngestHeader, *content: bytes) -> list[pb.IngestDocumentRequest]:
    """The messages of a document."""
    whole = b"".join(content)
    end = pb.ContentEnd(size=len(whole), sha256=hashlib.sha256(whole).digest())
    return [
        pb.IngestDocumentRequest(header=head),
        *(pb.IngestDocumentRequest(content=piece) for piece in content),
        pb.IngestDocumentRequest(end=end),
    ]
