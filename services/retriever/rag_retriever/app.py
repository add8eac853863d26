"""Puts the retriever together: the only place that names its engine and its splitter."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from rag.retriever.v1 import retriever_service_pb2_grpc as grpc_stubs
from rag_common import logs, telemetry
from rag_common.rpc.server import Ports, Service, serving
from rag_common.trust import Live, trusted
from rag_retriever.adapters.splitter import Splitter, WorkerSettings
from rag_retriever.adapters.traced import TracedCatalog
from rag_retriever.callers import CALLERS
from rag_retriever.chunking import ChunkSettings
from rag_retriever.core import Retriever
from rag_retriever.formats.parsed import Limits
from rag_retriever.instruments import Instruments
from rag_retriever.ports import Catalog
from rag_retriever.sampling import sampled
from rag_retriever.servicer import RetrieverServicer
from rag_retriever.settings import Settings

SERVICE = "rag.retriever.v1.RetrieverService"


@asynccontextmanager
async def app(settings: Settings) -> AsyncIterator[Ports]:
    """Serve the indexes of the configured engine."""
    logs.configure("retriever", settings.log_level, settings.log_format)
    tracing = telemetry.configure("retriever", version("rag-platform"), settings.region)
    async with AsyncExitStack() as stack:
        stack.callback(tracing.close)
        trust = await stack.enter_async_context(trusted(settings, "retriever", tracing.metrics))
        trust.measure(tracing.metrics)
        key = await trust.secret(settings.qdrant_api_key, "RETRIEVER_QDRANT_API_KEY")
        instruments = Instruments(tracing.metrics)
        opened = await stack.enter_async_context(_catalog(settings, key, instruments))
        catalog = TracedCatalog(opened, tracing.metrics.dependencies)
        splitter = await stack.enter_async_context(_splitter(settings, instruments))
        servicer = RetrieverServicer(
            Retriever(catalog, splitter), document_bytes=settings.document_bytes
        )
        service = Service(SERVICE, grpc_stubs.add_RetrieverServiceServicer_to_server, servicer)

        async def engine() -> None:
            await catalog.list()

        served = serving(
            [service],
            settings,
            tracing,
            checks={"engine": engine},
            wants=trust.wants,
            guard=trust.guard(CALLERS),
        )
        await stack.enter_async_context(sampled(catalog, instruments, settings.backup_stamp))
        yield await stack.enter_async_context(served)


def _catalog(
    settings: Settings, key: Live, instruments: Instruments
) -> AbstractAsyncContextManager[Catalog]:
    if settings.engine == "server":
        from rag_retriever.adapters.server import ServerOptions, connected

        options = ServerOptions(
            replicas=settings.qdrant_replicas,
            write_consistency=settings.qdrant_write_copies,
            shards=settings.qdrant_shards,
            int8=settings.qdrant_quantized,
        )
        return connected(
            settings.qdrant_url,
            key if settings.qdrant_api_key.get_secret_value() else None,
            timeout=settings.qdrant_timeout,
            options=options,
        )
    from rag_retriever.adapters.edge import EdgeCatalog

    return EdgeCatalog(settings.data_dir, instruments=instruments)


def _splitter(settings: Settings, instruments: Instruments) -> Splitter:
    return Splitter(
        Limits(max_bytes=settings.document_bytes, max_pages=settings.document_pages),
        ChunkSettings(settings.chunk_tokens, settings.chunk_tokens_max, settings.chunk_overlap),
        WorkerSettings(
            workers=settings.parse_workers,
            memory=settings.parse_memory,
            wall_seconds=settings.parse_seconds,
        ),
        instruments,
    )
