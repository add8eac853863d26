"""The public servicers in front of neighbours that take anything."""

from functools import cache
from typing import Any
from unittest.mock import AsyncMock

from rag.embedder.v1.embedder_service_pb2 import GetModelInfoResponse
from rag_common.observability.metrics import Metrics
from rag_gateway.answering.fair_semaphore import FairSemaphore
from rag_gateway.answering.model import Retrieval
from rag_gateway.answering.service import AnsweringService, SearchHits, Vectors
from rag_gateway.api.answer import AnswerServicer
from rag_gateway.api.capabilities import Capabilities, limits
from rag_gateway.api.document import DocumentServicer, SizeLimits
from rag_gateway.api.guard import RequestGuard
from rag_gateway.auth.audit import Audit
from rag_gateway.idempotency.memory import LocalIdempotencyStore
from rag_gateway.idempotency.service import Idempotency
from rag_gateway.quotas.config import read
from rag_gateway.quotas.memory import LocalBuckets
from rag_gateway.quotas.service import Quotas
from rag_gateway.telemetry.metrics import GatewayMetrics
from rag_gateway.telemetry.recorder import AnswerRecorder
from rag_retriever.api import filters
from tests.support.gateway.fakes import (
    FakeDocuments,
    FakeEmbedding,
    FakeSearching,
    FakeWriting,
    scored,
)


class Reading(FakeSearching):
    """Finds passages by a filter that the retriever could read."""

    async def search(self, tenant: str, vectors: Vectors, options: Retrieval) -> SearchHits:
        if options.filter:
            filters.parse(options.filter)
        return await super().search(tenant, vectors, options)


@cache
def _models() -> AsyncMock:
    """Names one model of each kind."""
    models = AsyncMock()
    models.models.return_value = ["fake"]
    models.media_types.return_value = ["text/plain"]
    models.model.return_value = GetModelInfoResponse(model="fake")
    return models


def servicers() -> dict[str, Any]:
    """Both public servicers by the service's name, in front of neighbours that take anything."""
    embedding, models, guard = FakeEmbedding([0.5]), _models(), _guard()
    answering = AnsweringService(embedding, Reading([scored("a")]), FakeWriting(), FairSemaphore(6))
    request_limits = limits(document_bytes=1 << 20, upload_bytes=1 << 26, deadline=60)
    recorder = AnswerRecorder(GatewayMetrics(Metrics()), lambda _principal: "", capture=True)
    return {
        "AnswerService": AnswerServicer(
            answering,
            Capabilities(models, models, models, request_limits, ""),
            guard,
            recorder,
            region="",
            heartbeat=60,
        ),
        "DocumentService": DocumentServicer(
            FakeDocuments(), guard, recorder, SizeLimits(1 << 20, 1 << 26)
        ),
    }


def _guard() -> RequestGuard:
    """Admits every caller, and charges it against quotas that nobody reaches."""
    quotas = Quotas(read(), LocalBuckets())
    return RequestGuard("fuzz", Audit(), quotas, Idempotency(LocalIdempotencyStore()))
