"""What a deployment says that it offers."""

from dataclasses import dataclass

import pytest

from rag.gateway.v1.answer_service_pb2 import EmbeddingModel
from rag_common import errors
from rag_gateway import requests
from rag_gateway.capabilities import MEDIA_TYPES, Capabilities, limits

LIMITS = limits(document_bytes=1024, upload_bytes=4096, deadline=12.5)


@dataclass
class Services:
    """The embedder and the generator, which count how often they are asked."""

    error: errors.AppError | None = None
    asked: int = 0

    async def describe(self) -> tuple[EmbeddingModel, str]:
        self.asked += 1
        if self.error:
            raise self.error
        return EmbeddingModel(model="e5", dimensions=384, fingerprint="finger"), "reranker"

    async def models(self) -> list[str]:
        return ["extractive", "large"]


async def test_models_limits_and_formats_are_named() -> None:
    services = Services()
    found = await Capabilities(services, services, LIMITS, "seoul").describe()
    assert list(found.generation_models) == ["extractive", "large"]
    assert found.embedding.fingerprint == "finger"
    assert (found.reranker, found.region) == ("reranker", "seoul")
    assert tuple(found.media_types) == MEDIA_TYPES
    assert found.version


async def test_the_limits_are_those_that_requests_are_held_to() -> None:
    assert LIMITS.query_characters == requests.QUERY_CHARACTERS
    assert (LIMITS.top_k, LIMITS.candidates) == (requests.MOST_TOP_K, requests.MOST_CANDIDATES)
    assert LIMITS.passages == requests.MOST_PASSAGES
    assert (LIMITS.document_bytes, LIMITS.upload_bytes) == (1024, 4096)
    assert LIMITS.deadline.ToMilliseconds() == 12_500


async def test_the_services_are_asked_once_and_then_remembered() -> None:
    services = Services()
    capabilities = Capabilities(services, services, LIMITS, "")
    first = await capabilities.describe()
    assert await capabilities.describe() == first
    assert services.asked == 1


async def test_a_failure_is_told_and_not_remembered() -> None:
    services = Services(error=errors.Unavailable("away"))
    capabilities = Capabilities(services, services, LIMITS, "")
    with pytest.raises(errors.Unavailable):
        await capabilities.describe()
    services.error = None
    assert (await capabilities.describe()).embedding.model == "e5"
