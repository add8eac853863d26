"""Puts the gateway together: the only place that names its peers and its keys."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from rag.gateway.v1 import answer_service_pb2_grpc, document_service_pb2_grpc
from rag_common import logs, telemetry
from rag_common.rpc.client import Peer, connected
from rag_common.rpc.server import Ports, Service, serving
from rag_common.telemetry import Telemetry
from rag_gateway.adapters.embedder import Embedder
from rag_gateway.adapters.generator import Generator
from rag_gateway.adapters.keys import Keys
from rag_gateway.adapters.retriever import Retriever
from rag_gateway.adapters.tokens import TokenAuthenticator
from rag_gateway.answer_servicer import AnswerServicer
from rag_gateway.capabilities import Capabilities, limits
from rag_gateway.core import Answering
from rag_gateway.document_servicer import DocumentServicer, SizeLimits
from rag_gateway.ingestion import Ingesting
from rag_gateway.settings import Settings

ANSWERS = "rag.gateway.v1.AnswerService"
DOCUMENTS = "rag.gateway.v1.DocumentService"

# How long it is taken for granted that model and index fit.
_INDEX_SECONDS = 30.0


@asynccontextmanager
async def app(settings: Settings) -> AsyncIterator[Ports]:
    """Serve once the services behind it do."""
    logs.configure("gateway", settings.log_level, settings.log_format)
    tracing = telemetry.configure("gateway", version("rag-platform"))
    async with AsyncExitStack() as stack:
        stack.callback(tracing.close)
        embedder, retriever, generator = await _peers(stack, settings, tracing)
        keys = Keys(settings.jwks, settings.jwks_max_age)
        embedding = Embedder(
            embedder,
            rerank_timeout=settings.rerank_timeout,
            stream_timeout=settings.ingest_timeout,
        )
        shelf = Retriever(retriever, stream_timeout=settings.ingest_timeout)
        writing = Generator(generator)
        ingesting = Ingesting(shelf, embedding, shelf, slots=settings.ingest_slots)
        bounds = limits(
            document_bytes=settings.document_bytes,
            upload_bytes=settings.upload_bytes,
            deadline=settings.max_deadline,
        )
        answers = AnswerServicer(
            Answering(embedding, shelf, writing),
            Capabilities(embedding, writing, bounds, settings.region),
            region=settings.region,
            heartbeat=settings.heartbeat,
        )
        documents = DocumentServicer(
            ingesting, shelf, SizeLimits(settings.document_bytes, settings.upload_bytes)
        )
        index = _Index(embedding, shelf, settings.index)
        served = serving(
            [
                Service(
                    ANSWERS, answer_service_pb2_grpc.add_AnswerServiceServicer_to_server, answers
                ),
                Service(
                    DOCUMENTS,
                    document_service_pb2_grpc.add_DocumentServiceServicer_to_server,
                    documents,
                ),
            ],
            settings,
            tracing,
            checks={
                "keys": keys.ready,
                "embedder": embedder.serving,
                "retriever": retriever.serving,
                "generator": generator.serving,
                "index": index.ready,
            },
            authenticate=TokenAuthenticator(
                keys,
                issuer=settings.issuer,
                audience=settings.audience,
                leeway=settings.clock_leeway,
            ),
        )
        yield await stack.enter_async_context(served)


class _Index:
    """Makes the index once the model is known, and sees that the two still fit each other."""

    def __init__(self, embedding: Embedder, shelf: Retriever, name: str) -> None:
        self._embedding = embedding
        self._shelf = shelf
        self._name = name
        self._good_until = 0.0

    async def ready(self) -> None:
        """Return where the index takes the model's vectors. Raises EmbeddingMismatch, Unavailable."""
        if time.monotonic() < self._good_until:
            return
        model = await self._embedding.model()
        await self._shelf.ensure_index(self._name, model.dimensions, model.fingerprint)
        self._good_until = time.monotonic() + _INDEX_SECONDS


async def _peers(
    stack: AsyncExitStack, settings: Settings, tracing: Telemetry
) -> tuple[Peer, Peer, Peer]:
    targets = [
        ("embedder", settings.embedder_target, settings.embed_timeout),
        ("retriever", settings.retriever_target, settings.search_timeout),
        ("generator", settings.generator_target, settings.generate_timeout),
    ]
    embedder, retriever, generator = [
        await stack.enter_async_context(
            connected(
                name,
                target,
                tracing,
                timeout=timeout,
                max_message_bytes=settings.max_message_bytes,
            )
        )
        for name, target, timeout in targets
    ]
    return embedder, retriever, generator
