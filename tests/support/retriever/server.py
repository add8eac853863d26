"""A real Qdrant server for the tests of a module, and callers that die at one of their writes."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import pytest_asyncio
from qdrant_client import AsyncQdrantClient

from rag_contract.errors import DependencyDown
from rag_retriever.engines.server import Nodes, ServerCatalog, ServerOptions
from tests.support.contracts.fixtures import remove_collections, server_client
from tests.support.contracts.samples import SPEC
from tests.support.qdrant import QdrantServer

_T = TypeVar("_T")


class Dying(Nodes):
    """Nodes whose caller dies at one of its writes: before it is done, or before it knows so."""

    def __init__(self, client: AsyncQdrantClient) -> None:
        super().__init__([client], 5)
        self.writes = 0
        self.dies_at: int | None = None
        self.done = False

    async def write(self, call: Callable[[AsyncQdrantClient], Awaitable[_T]]) -> _T:
        self.writes += 1
        if self.dies_at is None or self.writes < self.dies_at:
            return await super().write(call)
        if self.writes == self.dies_at and self.done:
            await super().write(call)
        raise DependencyDown("the connection is lost")

    async def read(self, call: Callable[[AsyncQdrantClient], Awaitable[_T]]) -> _T:
        if self.dies_at is not None and self.writes >= self.dies_at:
            raise DependencyDown("the connection is lost")
        return await super().read(call)


@pytest_asyncio.fixture
async def client(qdrant: QdrantServer) -> AsyncIterator[AsyncQdrantClient]:
    async with server_client(qdrant) as opened:
        yield opened


@pytest_asyncio.fixture
async def options(qdrant: QdrantServer) -> AsyncIterator[ServerOptions]:
    """A prefix for collections of the test's own, which are removed after it."""
    options = ServerOptions(prefix=f"test-{uuid.uuid4().hex[:8]}-")
    yield options
    await remove_collections(qdrant, options.prefix)


@pytest_asyncio.fixture
async def server_catalog(client: AsyncQdrantClient, options: ServerOptions) -> ServerCatalog:
    opened = ServerCatalog(Nodes([client], 5), options)
    await opened.create(SPEC)
    return opened
