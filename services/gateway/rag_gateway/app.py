"""Composes the gateway from its packages' parts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

from google.protobuf import descriptor_pool

from rag.gateway.v1 import (
    access_service_pb2_grpc,
    answer_service_pb2_grpc,
    document_service_pb2_grpc,
)
from rag_common.grpc.bootstrap import Ports, Service, serving
from rag_common.grpc.peer import Peer
from rag_common.grpc.ports import ServerSecurity
from rag_common.observability.dependency import database
from rag_common.security.peer_identity import only
from rag_common.service_context import ServiceContext, service_context
from rag_gateway.answering.fair_semaphore import FairSemaphore
from rag_gateway.answering.service import AnsweringService
from rag_gateway.answering.wait_limit import WaitLimit
from rag_gateway.api import rate_limit
from rag_gateway.api.access import AccessServicer
from rag_gateway.api.answer import AnswerServicer
from rag_gateway.api.capabilities import Capabilities, limits
from rag_gateway.api.document import DocumentServicer, SizeLimits
from rag_gateway.api.guard import RequestGuard
from rag_gateway.auth.wiring import AuthComponents, build_auth
from rag_gateway.clients.embedder import Embedder
from rag_gateway.clients.generator import Generator
from rag_gateway.clients.index_check import IndexCompatibilityCheck, creating_index
from rag_gateway.clients.ingestor import Ingestor
from rag_gateway.clients.retriever import Retriever
from rag_gateway.idempotency.service import Idempotency
from rag_gateway.idempotency.wiring import build_idempotency
from rag_gateway.quotas.wiring import QuotaGate, build_quota_gate
from rag_gateway.redis.wiring import redis_connection, shared_store
from rag_gateway.settings import Settings
from rag_gateway.telemetry.metrics import GatewayMetrics
from rag_gateway.telemetry.recorder import AnswerRecorder

ANSWERS = "rag.gateway.v1.AnswerService"
DOCUMENTS = "rag.gateway.v1.DocumentService"
ACCESS = "rag.gateway.v1.AccessService"
PUBLIC = (ANSWERS, DOCUMENTS, ACCESS)

Peers: TypeAlias = tuple[Peer, Peer, Peer, Peer]


@asynccontextmanager
async def app(settings: Settings) -> AsyncIterator[Ports]:
    """Serve the gateway while the block runs; ready as soon as the services behind it are."""
    async with service_context(settings, "gateway") as context:
        stack, identity = context.stack, context.identity
        metrics = GatewayMetrics(context.metrics)
        peers = await _peers(context, settings)
        store = await stack.enter_async_context(
            shared_store(settings, identity, database(context.metrics.dependencies, "redis"))
        )
        quota_gate = build_quota_gate(stack, settings, store, metrics)
        idempotency = build_idempotency(stack, settings, store, metrics)
        redis = await stack.enter_async_context(redis_connection(settings, identity))
        auth = await build_auth(stack, settings, identity, redis, PUBLIC, metrics)
        core = _core(settings, peers, metrics)
        await stack.enter_async_context(creating_index(core.index_check))
        embedder, retriever, generator, ingestor = peers
        served = serving(
            _services(settings, core, auth, quota_gate, idempotency, metrics),
            settings,
            context.telemetry,
            checks={
                "keys": auth.issuers.ready,
                "credentials": auth.revocations.ready,
                **{peer.name: peer.serving for peer in (embedder, retriever)},
                "index": core.index_check.ready,
            },
            optional_checks={
                **identity.optional_checks,
                "limits": quota_gate.check_store,
                generator.name: generator.serving,
                ingestor.name: ingestor.serving,
            },
            security=ServerSecurity(
                authenticate=auth.authenticate,
                certificates=identity.certificates,
                callers=_callers(settings),
                unauthenticated=frozenset({rate_limit.NAME}),
                limiter=quota_gate,
                sizes=_sizes(settings),
            ),
            pages=auth.pages(),
        )
        yield await stack.enter_async_context(served)


@dataclass(frozen=True, slots=True)
class _Core:
    """The domain services, with the clients of the services that they use."""

    embedder: Embedder
    retriever: Retriever
    generator: Generator
    answering: AnsweringService
    ingestor: Ingestor
    index_check: IndexCompatibilityCheck


def _core(settings: Settings, peers: Peers, metrics: GatewayMetrics) -> _Core:
    embedder_peer, retriever_peer, generator_peer, ingestor_peer = peers
    embedder = Embedder(embedder_peer, rerank_timeout=settings.rerank_timeout)
    retriever = Retriever(retriever_peer)
    generator = Generator(generator_peer, settings.generate_start_timeout)
    return _Core(
        embedder,
        retriever,
        generator,
        AnsweringService(embedder, retriever, generator, _search_slots(settings, metrics)),
        Ingestor(ingestor_peer, stream_timeout=settings.ingest_timeout),
        IndexCompatibilityCheck(embedder, retriever, settings.index, metrics.index_compatible),
    )


def _search_slots(settings: Settings, metrics: GatewayMetrics) -> FairSemaphore:
    limit = WaitLimit(settings.search_wait, settings.search_wait_overloaded)
    slots = FairSemaphore(settings.searches, limit, metrics.searches_refused.inc)
    metrics.searches_capacity.set(slots.capacity)
    metrics.searches_running.set_function(lambda: slots.running)
    metrics.searches_waiting.set_function(lambda: slots.waiting)
    metrics.searches_oldest_wait.set_function(lambda: slots.oldest_wait)
    return slots


def _services(
    settings: Settings,
    core: _Core,
    auth: AuthComponents,
    quota_gate: QuotaGate,
    idempotency: Idempotency,
    metrics: GatewayMetrics,
) -> list[Service]:
    request_limits = limits(
        document_bytes=settings.document_bytes,
        upload_bytes=settings.upload_bytes,
        deadline=settings.max_deadline,
    )

    def guard(service: str) -> RequestGuard:
        return RequestGuard(
            service, auth.audit, quota_gate.quotas, idempotency, quota_gate.degraded_parts
        )

    recorder = AnswerRecorder(metrics, quota_gate.tier, capture=settings.capture == "redacted")
    answers = AnswerServicer(
        core.answering,
        Capabilities(core.embedder, core.generator, core.ingestor, request_limits, settings.region),
        guard(ANSWERS),
        recorder,
        region=settings.region,
        heartbeat=settings.heartbeat,
    )
    documents = DocumentServicer(
        core.ingestor,
        guard(DOCUMENTS),
        recorder,
        SizeLimits(settings.document_bytes, settings.upload_bytes),
    )
    access = AccessServicer(auth.access, guard(ACCESS), quota_gate.quotas.status)
    limiter = rate_limit.RateLimitServicer(quota_gate.limits.edge, quota_gate.buckets)
    return [
        Service(ANSWERS, answer_service_pb2_grpc.add_AnswerServiceServicer_to_server, answers),
        Service(
            DOCUMENTS, document_service_pb2_grpc.add_DocumentServiceServicer_to_server, documents
        ),
        Service(ACCESS, access_service_pb2_grpc.add_AccessServiceServicer_to_server, access),
        Service(rate_limit.NAME, rate_limit.add_to_server, limiter, reflected=False),
    ]


def _sizes(settings: Settings) -> dict[str, int]:
    """The maximum bytes of each method's messages; only passages and documents are large."""
    small, passages = 2 * 2**20, 5 * 2**20
    pool = descriptor_pool.Default()
    services = [pool.FindServiceByName(name) for name in PUBLIC]
    defaults = {f"/{s.full_name}/{method.name}": small for s in services for method in s.methods}
    with_passages = ("Answer", "StreamAnswer", "CheckGrounding")
    return {
        **defaults,
        **{f"/{ANSWERS}/{name}": passages for name in with_passages},
        f"/{DOCUMENTS}/IngestDocument": settings.document_bytes + small,
        f"/{DOCUMENTS}/UploadDocument": 2**20 + small,
        f"/{rate_limit.NAME}/ShouldRateLimit": small,
    }


def _callers(settings: Settings) -> dict[str, frozenset[str]]:
    """Which services may call each method: the configured ones the public API, the edge its rate limits."""
    public = frozenset(name.strip() for name in settings.callers.split(",") if name.strip())
    return {
        **{f"/{name}/*": public for name in PUBLIC},
        f"/{rate_limit.NAME}/*": only("edge"),
    }


async def _peers(context: ServiceContext, settings: Settings) -> Peers:
    targets = [
        ("embedder", settings.embedder_target, settings.embed_timeout),
        ("retriever", settings.retriever_target, settings.search_timeout),
        ("generator", settings.generator_target, settings.generate_timeout),
        ("ingestor", settings.ingestor_target, settings.document_timeout),
    ]
    embedder, retriever, generator, ingestor = [
        await context.peer(
            name, target, timeout=timeout, max_message_bytes=settings.max_message_bytes
        )
        for name, target, timeout in targets
    ]
    return embedder, retriever, generator, ingestor
