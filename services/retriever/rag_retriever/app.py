"""Wires the retriever: the only module that selects the vector engine."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from rag.retriever.v1 import retriever_service_pb2_grpc as grpc_stubs
from rag_common.grpc.bootstrap import Ports, Service, serving
from rag_common.grpc.ports import ServerSecurity
from rag_common.identity import SecretGetter
from rag_common.service_context import service_context
from rag_retriever.api.callers import CALLERS
from rag_retriever.api.servicer import RetrieverServicer
from rag_retriever.engines.instrumented import InstrumentedCatalog
from rag_retriever.index.ports import Catalog
from rag_retriever.search.service import Retriever
from rag_retriever.settings import Settings
from rag_retriever.telemetry.index_gauges import updating_gauges
from rag_retriever.telemetry.metrics import RetrieverMetrics

SERVICE = "rag.retriever.v1.RetrieverService"


@asynccontextmanager
async def app(settings: Settings) -> AsyncIterator[Ports]:
    """Serve the indexes of the configured engine until the context is left."""
    async with service_context(settings, "retriever") as context:
        stack, identity = context.stack, context.identity
        key = await identity.secret(settings.qdrant_api_key, "RETRIEVER_QDRANT_API_KEY")
        metrics = RetrieverMetrics(context.metrics)
        opened = await stack.enter_async_context(_catalog(settings, key, metrics))
        catalog = InstrumentedCatalog(opened, context.metrics.dependencies)
        servicer = RetrieverServicer(Retriever(catalog))
        service = Service(SERVICE, grpc_stubs.add_RetrieverServiceServicer_to_server, servicer)

        async def engine() -> None:
            await catalog.list_indexes()

        served = serving(
            [service],
            settings,
            context.telemetry,
            checks={"engine": engine},
            optional_checks=identity.optional_checks,
            security=ServerSecurity(certificates=identity.certificates, callers=CALLERS),
        )
        await stack.enter_async_context(updating_gauges(catalog, metrics, settings.backup_stamp))
        yield await stack.enter_async_context(served)


def _catalog(
    settings: Settings, key: SecretGetter, metrics: RetrieverMetrics
) -> AbstractAsyncContextManager[Catalog]:
    if settings.engine == "server":
        from rag_retriever.engines.server import ServerOptions, TlsFiles, connected

        options = ServerOptions(
            replicas=settings.qdrant_replicas,
            write_consistency=settings.qdrant_write_copies,
            shards=settings.qdrant_shards,
            int8=settings.qdrant_quantized,
        )
        return connected(
            settings.qdrant_url,
            key if settings.qdrant_api_key.get_secret_value() else None,
            grpc_port=settings.qdrant_grpc_port,
            timeout=settings.qdrant_timeout,
            tls=TlsFiles(
                settings.qdrant_ca_file,
                settings.qdrant_certificate_file,
                settings.qdrant_key_file,
            ),
            options=options,
        )
    from rag_retriever.engines.edge import EdgeCatalog

    return EdgeCatalog(settings.data_dir, metrics=metrics)
