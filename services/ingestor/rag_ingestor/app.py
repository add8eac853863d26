"""Composes the ingestor from its packages' parts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rag.ingestor.v1 import ingestor_service_pb2_grpc as grpc_stubs
from rag_common.grpc.bootstrap import Ports, Service, serving
from rag_common.grpc.ports import ServerSecurity
from rag_common.service_context import service_context
from rag_ingestor.api.callers import CALLERS
from rag_ingestor.api.servicer import IngestorServicer
from rag_ingestor.api.uploads import UploadBudget
from rag_ingestor.chunking.chunks import ChunkSettings
from rag_ingestor.clients.embedder import Embedder
from rag_ingestor.clients.retriever import Retriever
from rag_ingestor.ocr.splitter import RecognisingSplitter
from rag_ingestor.ocr.tesseract import Tesseract
from rag_ingestor.parsing.parsed import Limits
from rag_ingestor.pipeline.service import IngestionService
from rag_ingestor.sandbox.pool import SplitterPool, WorkerSettings
from rag_ingestor.settings import Settings
from rag_ingestor.telemetry.metrics import IngestorMetrics

SERVICE = "rag.ingestor.v1.IngestorService"


@asynccontextmanager
async def app(settings: Settings) -> AsyncIterator[Ports]:
    """Serve documents while the block runs; ready as soon as the embedder and the retriever are."""
    async with service_context(settings, "ingestor") as context:
        stack = context.stack
        embedder, retriever = [
            await context.peer(
                name, target, timeout=timeout, max_message_bytes=settings.max_message_bytes
            )
            for name, target, timeout in (
                ("embedder", settings.embedder_target, settings.embed_timeout),
                ("retriever", settings.retriever_target, settings.index_timeout),
            )
        ]
        metrics = IngestorMetrics(context.metrics)
        pool = await stack.enter_async_context(_pool(settings, metrics))
        engine = _engine(settings)
        splitter = _recognising(settings, pool, engine) if engine else pool
        index = Retriever(retriever, stream_timeout=settings.ingest_timeout)
        chunks = Embedder(embedder, stream_timeout=settings.ingest_timeout)
        servicer = IngestorServicer(
            splitter,
            IngestionService(
                splitter, chunks, index, slots=settings.slots, recognises=engine is not None
            ),
            index,
            UploadBudget(settings.document_bytes, metrics),
            splitter.media_types,
        )
        served = serving(
            [Service(SERVICE, grpc_stubs.add_IngestorServiceServicer_to_server, servicer)],
            settings,
            context.telemetry,
            checks={peer.name: peer.serving for peer in (embedder, retriever)},
            optional_checks=context.identity.optional_checks,
            security=ServerSecurity(certificates=context.identity.certificates, callers=CALLERS),
        )
        yield await stack.enter_async_context(served)


def _engine(settings: Settings) -> Tesseract | None:
    if settings.ocr == "off":
        return None
    return Tesseract.find(settings.ocr_languages, settings.ocr_seconds)


def _recognising(settings: Settings, pool: SplitterPool, engine: Tesseract) -> RecognisingSplitter:
    return RecognisingSplitter(
        pool, engine, max_pages=settings.ocr_pages, at_once=settings.parse_workers
    )


def _pool(settings: Settings, metrics: IngestorMetrics) -> SplitterPool:
    return SplitterPool(
        Limits(max_bytes=settings.document_bytes, max_pages=settings.document_pages),
        ChunkSettings(settings.chunk_tokens, settings.chunk_tokens_max, settings.chunk_overlap),
        WorkerSettings(
            workers=settings.parse_workers,
            memory_bytes=settings.parse_memory,
            wall_seconds=settings.parse_seconds,
        ),
        metrics,
    )
