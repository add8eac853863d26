"""Puts the gateway together: the only place that names its peers and its keys."""

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
from rag_gateway.fitting import FittingIndex
from rag_gateway.ingestion import Ingesting
from rag_gateway.instruments import Instruments
from rag_gateway.measures import Measures
from rag_gateway.settings import Settings
from rag_gateway.turns import Turns

ANSWERS = "rag.gateway.v1.AnswerService"
DOCUMENTS = "rag.gateway.v1.DocumentService"
ACCESS = "rag.gateway.v1.AccessService"
PUBLIC = (ANSWERS, DOCUMENTS, ACCESS)


@asynccontextmanager
async def app(settings: Settings) -> AsyncIterator[Ports]:
    """Serve once the services behind it do."""
    logs.configure("gateway", settings.log_level, settings.log_format)
    tracing = telemetry.configure("gateway", version("rag-platform"), settings.region)
    instruments = Instruments(tracing.metrics)
    async with AsyncExitStack() as stack:
        stack.callback(tracing.close)
        trust = await stack.enter_async_context(trusted(settings, "gateway", tracing.metrics))
        trust.measure(tracing.metrics)
        peers = await _peers(stack, settings, tracing, trust)
        allowed = await allowance(stack, settings, trust, instruments)
        shared = await stack.enter_async_context(redis(settings, trust))
        door = await entrance(stack, settings, trust, shared, PUBLIC, instruments)
        core = _core(settings, peers, instruments)
        embedder, retriever, generator = peers
        served = serving(
            _services(settings, core, door, allowed, instruments),
            settings,
            tracing,
            checks={
                "keys": door.issuers.ready,
                "credentials": door.revoked.ready,
                **{peer.name: peer.serving for peer in (embedder, retriever)},
                "index": core.index.ready,
            },
            wants={**trust.wants, "limits": allowed.store, generator.name: generator.serving},
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
    index: FittingIndex


def _core(settings: Settings, peers: tuple[Peer, Peer, Peer], instruments: Instruments) -> _Core:
    embedder, retriever, generator = peers
    turns = _turns(settings, instruments)
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
        Answering(embedding, shelf, writing, turns),
        Ingesting(shelf, embedding, shelf, slots=settings.ingest_slots),
        FittingIndex(embedding, shelf, settings.index, instruments.index_fits),
    )


def _turns(settings: Settings, instruments: Instruments) -> Turns:
    turns = Turns(settings.searches)
    instruments.places.set(turns.most)
    instruments.running.set_function(lambda: turns.running)
    instruments.waiting.set_function(lambda: turns.waiting)
    instruments.oldest.set_function(lambda: turns.oldest)
    return turns


def _services(
    settings: Settings,
    core: _Core,
    door: Entrance,
    allowed: Allowance,
    instruments: Instruments,
) -> list[Service]:
    bounds = limits(
        document_bytes=settings.document_bytes,
        upload_bytes=settings.upload_bytes,
        deadline=settings.max_deadline,
    )

    def counter(service: str) -> Counter:
        return Counter(service, door.audit, allowed.quotas, allowed.once, allowed.away)

    measures = Measures(instruments, allowed.tier, capture=settings.capture == "redacted")
    answers = AnswerServicer(
        core.answering,
        Capabilities(core.embedding, core.writing, bounds, settings.region),
        counter(ANSWERS),
        measures,
        region=settings.region,
        heartbeat=settings.heartbeat,
    )
    documents = DocumentServicer(
        core.ingesting,
        core.shelf,
        counter(DOCUMENTS),
        measures,
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
