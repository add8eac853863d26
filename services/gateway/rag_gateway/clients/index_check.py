"""Checks that the index matches the embedding model, and creates the first index of a new platform."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Protocol

import structlog
from prometheus_client import Gauge

from rag_common.aio import background
from rag_common.backoff import exponential
from rag_contract import errors

# How long a successful check is cached.
_CACHED_SECONDS = 30.0
# An unavailable service may be starting at the same time, and a platform without an index can serve
# nothing: it is asked again soon. A rejection is retried ever more rarely, as time alone does not change it.
_RETRY_SECONDS = 0.5
_MAX_REJECTED_SECONDS = 30.0

log = structlog.get_logger()


class VectorSpace(Protocol):
    """The dimensions and the fingerprint of the vectors of a model or an index."""

    @property
    def dimensions(self) -> int: ...

    @property
    def fingerprint(self) -> str: ...


class EmbedderInfo(Protocol):
    """Describes the embedding model in use. Raises AppError."""

    async def model(self) -> VectorSpace: ...


class Indexes(Protocol):
    """The retriever's indexes. Raises AppError."""

    async def default_index(self) -> VectorSpace:
        """The vectors of the default index. Raises IndexNotFound; creates nothing."""
        ...

    async def create_index(self, name: str, dimensions: int, fingerprint: str) -> None:
        """Create an index; does nothing if the same one exists. Raises EmbeddingMismatch."""
        ...


class IndexCompatibilityCheck:
    """Checks whether the index matches the embedding model, and creates the first index of a new platform."""

    def __init__(
        self,
        embedder: EmbedderInfo,
        indexes: Indexes,
        name: str,
        compatible: Gauge,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`name` is the index to create if there is none; `compatible` is set to 1 or 0 by each check."""
        self._compatible = compatible
        self._sleep = sleep
        self._embedder = embedder
        self._indexes = indexes
        self._name = name
        self._valid_until = 0.0

    async def ready(self) -> None:
        """Return if the index holds vectors of the embedder's model. Creates nothing.

        Raises EmbeddingMismatch, IndexNotFound, Unavailable.
        """
        if time.monotonic() < self._valid_until:
            return
        model = await self._embedder.model()
        index = await self._indexes.default_index()
        compatible = (index.dimensions, index.fingerprint) == (model.dimensions, model.fingerprint)
        self._compatible.set(compatible)
        if not compatible:
            raise errors.EmbeddingMismatch(
                "the index holds vectors of another model than the embedder's",
                metadata={
                    "index_fingerprint": index.fingerprint,
                    "query_fingerprint": model.fingerprint,
                },
            )
        self._valid_until = time.monotonic() + _CACHED_SECONDS

    async def create_if_missing(self) -> None:
        """Create an index for the model if there is none; retries until that succeeds.

        A failure is retried after 0.5 s; unless a service is unavailable, with exponential backoff up
        to 30 s. Returns when there is an index, compatible or
        not. An index that is dropped later is not created again.
        """
        failing = ""
        for failures in count(1):
            try:
                await self._create_missing()
                return
            except Exception as error:
                reason = (
                    error.reason if isinstance(error, errors.AppError) else type(error).__name__
                )
                if reason != failing:
                    _log_failure(error, reason)
                failing = reason
                unavailable = isinstance(error, errors.Unavailable)
                limit = _RETRY_SECONDS if unavailable else _MAX_REJECTED_SECONDS
            await self._sleep(exponential(failures, _RETRY_SECONDS, limit))

    async def _create_missing(self) -> None:
        try:
            await self._indexes.default_index()
        except errors.IndexNotFound:
            model = await self._embedder.model()
            await self._indexes.create_index(self._name, model.dimensions, model.fingerprint)
            log.info("index_created", index=self._name, fingerprint=model.fingerprint)


def _log_failure(error: Exception, reason: str) -> None:
    """Log why there is no index yet: an unavailable service recovers by itself, other errors need attention."""
    if isinstance(error, errors.Unavailable):
        log.info("index_not_checked", reason=reason)
    elif isinstance(error, errors.AppError):
        log.warning("index_not_created", reason=reason)
    else:
        log.error("index_not_created", reason=reason, exc_info=error)


@asynccontextmanager
async def creating_index(check: IndexCompatibilityCheck) -> AsyncIterator[None]:
    """Create the first index in the background while the block runs."""
    async with background(check.create_if_missing()):
        yield
