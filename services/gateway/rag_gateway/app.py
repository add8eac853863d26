"""Puts the gateway together: the only place that names its peers and its keys."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version

from google.protobuf import descriptor_pool

from rag.gateway.v1 import (
    access_service_pb2_grpc,
    answer_service_pb2_grpc,
    document_service_pb2_grpc,
)
from rag_common import logs, telemetry
from rag_common.rpc.callers import only
from rag_common.rpc.client import Peer, connected
from rag_common.rpc.server import Ports, Service, serving
from rag_common.telemetry import Telemetry
from rag_common.trust import Trust, trusted
from rag_gateway.access_servicer import AccessServicer
from rag_gateway.adapters import ratelimit
from rag_gateway.adapters.embedder import Embedder
from rag_gateway.adapters.generator import Generator
from rag_gateway.adapters.retriever import Retriever
from rag_gateway.allowance import Allowance, allowance, redis
from rag_gateway.answer_servicer import AnswerServicer
from rag_gateway.capabilities import Capabilities, limits
from rag_gateway.core import Answering
from rag_gateway.counter import Counter
from rag_gateway.document_servicer import DocumentServicer, SizeLimits
from rag_gateway.entrance import Entrance, entrance
from rag_gateway.ingestion import Ingesting
from rag_gateway.settings import Settings
from rag_gateway.turns import Turns

ANSWERS = "rag.gateway.v1.AnswerService"
DOCUMENTS = "rag.gateway.v1.DocumentService"
ACCESS = "rag.gateway.v1.AccessService"
PUBLIC = (ANSWERS, DOCUMENTS, ACCESS)

# How long it is taken for granted that model and index fit.
_INDEX_SECONDS = 30.0


@asynccontextmanager
async def app(settings: Settings) -> AsyncIterator[Ports]:
    """Serve once the services behind it do."""
    logs.configure("gateway", settings.log_level, settings.log_format)
    tracing = telemetry.configure("gateway", version("rag-platform"))
    async with AsyncExitStack() as stack:
        stack.callback(tracing.close)
        trust = await stack.enter_async_context(trusted(settings, "gateway"))
        trust.measure(tracing.metrics)
        peers = await _peers(stack, settings, tracing, trust)
        allowed = await allowance(stack, settings, trust)
        allowed.measure(tracing.metrics)
        shared = await stack.enter_async_context(redis(settings, trust))
        door = await entrance(stack, settings, trust, shared, PUBLIC)
        core = _core(settings, peers)
        served = serving(
            _services(settings, core, door, allowed),
            settings,
            tracing,
            checks={
                "keys": door.issuers.ready,
                "credentials": door.revoked.ready,
                **{peer.name: peer.serving for peer in peers},
                "index": core.index.ready,
            },
            wants={**trust.wants, "limits": allowed.store},
            guard=trust.guard(
                _callers(settings),
                door.authenticate,
                unauthenticated=frozenset({ratelimit.NAME}),
                allow=allowed,
                sizes=_sizes(settings),
            ),
            pages=door.pages(),
        )
        yield await stack.enter_async_context(served)


@dataclass(frozen=True, slots=True)
class _Core:
    """The work, with its neighbours."""

    embedding: Embedder
    shelf: Retriever
    writing: Generator
    answering: Answering
    ingesting: Ingesting
    index: "_Index"


def _core(settings: Settings, peers: tuple[Peer, Peer, Peer]) -> _Core:
    embedder, retriever, generator = peers
    embedding = Embedder(
        embedder,
        rerank_timeout=settings.rerank_timeout,
        stream_timeout=settings.ingest_timeout,
    )
    shelf = Retriever(retriever, stream_timeout=settings.ingest_timeout)
    writing = Generator(generator)
    return _Core(
        embedding,
        shelf,
        writing,
        Answering(embedding, shelf, writing, Turns(settings.searches)),
        Ingesting(shelf, embedding, shelf, slots=settings.ingest_slots),
        _Index(embedding, shelf, settings.index),
    )


def _services(settings: Settings, core: _Core, door: Entrance, allowed: Allowance) -> list[Service]:
    bounds = limits(
        document_bytes=settings.document_bytes,
        upload_bytes=settings.upload_bytes,
        deadline=settings.max_deadline,
    )

    def counter(service: str) -> Counter:
        return Counter(service, door.audit, allowed.quotas, allowed.once)

    answers = AnswerServicer(
        core.answering,
        Capabilities(core.embedding, core.writing, bounds, settings.region),
        counter(ANSWERS),
        region=settings.region,
        heartbeat=settings.heartbeat,
    )
    documents = DocumentServicer(
        core.ingesting,
        core.shelf,
        counter(DOCUMENTS),
        SizeLimits(settings.document_bytes, settings.upload_bytes),
    )
    access = AccessServicer(door.access, door.audit, counter(ACCESS), allowed.told)
    limiter = ratelimit.RateLimitServicer(allowed.limits.edge, allowed.shared.buckets)
    return [
        Service(ANSWERS, answer_service_pb2_grpc.add_AnswerServiceServicer_to_server, answers),
        Service(
            DOCUMENTS, document_service_pb2_grpc.add_DocumentServiceServicer_to_server, documents
        ),
        Service(ACCESS, access_service_pb2_grpc.add_AccessServiceServicer_to_server, access),
        Service(ratelimit.NAME, ratelimit.add_to_server, limiter, reflected=False),
    ]


def _sizes(settings: Settings) -> dict[str, int]:
    """Most bytes of each method's messages: passages and documents are large, and nothing else is."""
    small, passages = 2 * 2**20, 5 * 2**20
    pool = descriptor_pool.Default()
    services = [pool.FindServiceByName(name) for name in PUBLIC]
    found = {f"/{s.full_name}/{method.name}": small for s in services for method in s.methods}
    given = dict.fromkeys(("Answer", "StreamAnswer", "CheckGrounding"), passages)
    return {
        **found,
        **{f"/{ANSWERS}/{name}": most for name, most in given.items()},
        f"/{DOCUMENTS}/IngestDocument": settings.document_bytes + small,
        f"/{DOCUMENTS}/UploadDocument": 2**20 + small,
        f"/{ratelimit.NAME}/ShouldRateLimit": small,
    }


def _callers(settings: Settings) -> dict[str, frozenset[str]]:
    """The services that the public API is open to, and that the edge alone asks about its limits."""
    public = frozenset(name.strip() for name in settings.callers.split(",") if name.strip())
    return {
        **{f"/{name}/*": public for name in PUBLIC},
        f"/{ratelimit.NAME}/*": only("edge"),
    }


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
    stack: AsyncExitStack, settings: Settings, tracing: Telemetry, trust: Trust
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
                certificates=trust.certificates,
            )
        )
        for name, target, timeout in targets
    ]
    return embedder, retriever, generator
