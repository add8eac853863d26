"""What a deployment says that it offers."""

from dataclasses import dataclass

import pytest

from rag.embedder.v1.embedder_service_pb2 import GetModelInfoResponse
from rag_contract import errors
from rag_gateway.api.capabilities import Capabilities, limits
from rag_gateway.api.validation import limits as field_limits

LIMITS = limits(document_bytes=1024, upload_bytes=4096, deadline=12.5)


@dataclass
class Services:
    """The embedder and the generator, which count their requests."""

    error: errors.AppError | None = None
    requests: int = 0

    async def model(self) -> GetModelInfoResponse:
        self.requests += 1
        if self.error:
            raise self.error
        return GetModelInfoResponse(
            model="e5", dimensions=384, fingerprint="finger", reranker="reranker"
        )

    async def media_types(self) -> list[str]:
        return ["text/plain", "application/pdf"]

    async def models(self) -> list[str]:
        return ["extractive", "large"]


async def test_models_and_formats_are_named_and_the_services_are_asked_once() -> None:
    services = Services()
    capabilities = Capabilities(services, services, services, LIMITS, "seoul")
    response = await capabilities.describe()
    assert list(response.generation_models) == ["extractive", "large"]
    assert response.embedding.fingerprint == "finger"
    assert (response.reranker, response.region) == ("reranker", "seoul")
    assert response.media_types == ["text/plain", "application/pdf"]
    assert response.version
    assert await capabilities.describe() == response
    assert services.requests == 1


async def test_the_limits_are_those_that_requests_are_held_to() -> None:
    assert LIMITS.query_characters == field_limits.QUERY_CHARACTERS
    assert (LIMITS.top_k, LIMITS.candidates) == (
        field_limits.MAX_TOP_K,
        field_limits.MAX_CANDIDATES,
    )
    assert LIMITS.passages == field_limits.MAX_PASSAGES
    assert (LIMITS.document_bytes, LIMITS.upload_bytes) == (1024, 4096)
    assert LIMITS.deadline.ToMilliseconds() == 12_500


async def test_a_failure_is_not_remembered() -> None:
    services = Services(error=errors.DependencyDown("down"))
    capabilities = Capabilities(services, services, services, LIMITS, "")
    with pytest.raises(errors.Unavailable):
        await capabilities.describe()
    services.error = None
    assert (await capabilities.describe()).embedding.model == "e5"
