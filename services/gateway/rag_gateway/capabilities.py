"""What this deployment offers, asked of the services once a minute at most."""

import time
from importlib.metadata import version
from typing import Protocol

from rag.gateway.v1 import answer_service_pb2 as pb
from rag_gateway import requests

_SECONDS = 60.0

MEDIA_TYPES = (
    "text/plain",
    "text/markdown",
    "text/html",
    "application/pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
)


class Models(Protocol):
    """Names what can write answers."""

    async def models(self) -> list[str]: ...


class EmbeddingInfo(Protocol):
    """Describes the embedding as the public API shows it, and names the cross-encoder, if any."""

    async def describe(self) -> tuple[pb.EmbeddingModel, str]: ...


class Capabilities:
    """Describes models and limits. Raises Unavailable where a service is away."""

    def __init__(
        self, embedding: EmbeddingInfo, models: Models, limits: pb.Limits, region: str
    ) -> None:
        self._embedding = embedding
        self._models = models
        self._limits = limits
        self._region = region
        self._known: pb.GetCapabilitiesResponse | None = None
        self._asked = 0.0

    async def describe(self) -> pb.GetCapabilitiesResponse:
        """The description, at most a minute old."""
        if self._known is None or time.monotonic() - self._asked > _SECONDS:
            self._known = await self._ask()
            self._asked = time.monotonic()
        return self._known

    async def _ask(self) -> pb.GetCapabilitiesResponse:
        embedding, reranker = await self._embedding.describe()
        return pb.GetCapabilitiesResponse(
            generation_models=await self._models.models(),
            embedding=embedding,
            reranker=reranker,
            media_types=MEDIA_TYPES,
            limits=self._limits,
            region=self._region,
            version=version("rag-platform"),
        )


def limits(*, document_bytes: int, upload_bytes: int, deadline: float) -> pb.Limits:
    """The bounds of a request; `deadline` in seconds."""
    found = pb.Limits(
        query_characters=requests.QUERY_CHARACTERS,
        top_k=requests.MOST_TOP_K,
        candidates=requests.MOST_CANDIDATES,
        passages=requests.MOST_PASSAGES,
        document_bytes=document_bytes,
        upload_bytes=upload_bytes,
    )
    found.deadline.FromNanoseconds(int(deadline * 1e9))
    return found
