"""The models, media types and limits of this deployment, read from the services at most once a minute."""

import time
from contextlib import suppress
from importlib.metadata import version
from typing import Protocol

from rag.embedder.v1.embedder_service_pb2 import GetModelInfoResponse
from rag.gateway.v1 import answer_service_pb2 as pb
from rag_contract import errors
from rag_contract.durations import set_seconds
from rag_gateway.api.validation.limits import (
    MAX_CANDIDATES,
    MAX_PASSAGES,
    MAX_TOP_K,
    QUERY_CHARACTERS,
)

_CACHED_SECONDS = 60.0


class GeneratorInfo(Protocol):
    """Lists the models that generate answers."""

    async def models(self) -> list[str]: ...


class ParserInfo(Protocol):
    """Lists the media types of documents that can be ingested."""

    async def media_types(self) -> list[str]: ...


class EmbeddingInfo(Protocol):
    """Describes the embedding model and the reranker."""

    async def model(self) -> GetModelInfoResponse: ...


class Capabilities:
    """Describes models and limits. Raises Unavailable if embedder or generator is unavailable."""

    def __init__(
        self,
        embedder: EmbeddingInfo,
        generator: GeneratorInfo,
        parser: ParserInfo,
        limits: pb.Limits,
        region: str,
    ) -> None:
        self._embedder = embedder
        self._generator = generator
        self._parser = parser
        self._limits = limits
        self._region = region
        self._media_types: list[str] = []
        self._cached: pb.GetCapabilitiesResponse | None = None
        self._read_at = 0.0

    async def describe(self) -> pb.GetCapabilitiesResponse:
        """The description, at most a minute old."""
        if self._cached is None or time.monotonic() - self._read_at > _CACHED_SECONDS:
            self._cached = await self._read()
            self._read_at = time.monotonic()
        return self._cached

    async def _read(self) -> pb.GetCapabilitiesResponse:
        model = await self._embedder.model()
        return pb.GetCapabilitiesResponse(
            generation_models=await self._generator.models(),
            embedding=pb.EmbeddingModel(
                model=model.model, dimensions=model.dimensions, fingerprint=model.fingerprint
            ),
            reranker=model.reranker,
            media_types=await self._read_media_types(),
            limits=self._limits,
            region=self._region,
            version=version("rag-platform"),
        )

    async def _read_media_types(self) -> list[str]:
        """The media types, or those known before while documents cannot be ingested."""
        with suppress(errors.Unavailable):
            self._media_types = await self._parser.media_types()
        return self._media_types


def limits(*, document_bytes: int, upload_bytes: int, deadline: float) -> pb.Limits:
    """The limits of a request; `deadline` is in seconds."""
    message = pb.Limits(
        query_characters=QUERY_CHARACTERS,
        top_k=MAX_TOP_K,
        candidates=MAX_CANDIDATES,
        passages=MAX_PASSAGES,
        document_bytes=document_bytes,
        upload_bytes=upload_bytes,
    )
    set_seconds(message.deadline, deadline)
    return message
