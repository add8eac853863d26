"""Every engine that there is, behind the one contract.

`edge` is the embedded engine, `server` a real Qdrant server, started once a session (tests/conftest.py).
"""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from qdrant_client import AsyncQdrantClient, models

from rag_retriever.engines.edge import EdgeCatalog
from rag_retriever.engines.server import ServerOptions, connected
from rag_retriever.engines.server.metadata_point import METADATA_POINT_ID
from rag_retriever.index.ports import Catalog, Index
from tests.support.contracts.samples import SPEC
from tests.support.qdrant import QdrantServer

OpenCatalog = Callable[[], AbstractAsyncContextManager[Catalog]]

# All points but those that describe a collection.
EVERYTHING = models.Filter(must_not=[models.HasIdCondition(has_id=[METADATA_POINT_ID])])
# Making a collection takes a second: tests of an index share one, which is emptied for each.
_SHARED = ServerOptions(prefix="shared-")


@pytest.fixture(params=["edge", "server"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest_asyncio.fixture
async def open_catalog(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[OpenCatalog]:
    """Opens a catalog, on a server any number at once; after the first was left, on the same data again."""
    if engine == "edge":
        yield lambda: EdgeCatalog(tmp_path / "indexes")
    else:
        server: QdrantServer = request.getfixturevalue("qdrant")
        shared = "index" in request.fixturenames or "callers" in request.fixturenames
        own = ServerOptions(prefix=f"own-{uuid.uuid4().hex[:8]}-")
        options = _SHARED if shared else own
        await _clear(server, options.prefix)
        yield lambda: connected(server.url, grpc_port=server.grpc_port, options=options)
        if not shared:
            await remove_collections(server, options.prefix)


@pytest_asyncio.fixture
async def catalog(open_catalog: OpenCatalog) -> AsyncIterator[Catalog]:
    async with open_catalog() as opened:
        yield opened


@pytest_asyncio.fixture
async def index(catalog: Catalog) -> Index:
    await catalog.create(SPEC)
    return await catalog.open("")


@pytest_asyncio.fixture
async def callers(engine: str, open_catalog: OpenCatalog) -> AsyncIterator[list[Index]]:
    """One index as three callers have it: on a server each in a process of its own, as it were."""
    async with AsyncExitStack() as stack:
        catalogs = [await stack.enter_async_context(open_catalog())]
        if engine == "edge":
            catalogs *= 3
        else:
            catalogs += [await stack.enter_async_context(open_catalog()) for _ in range(2)]
        await catalogs[0].create(SPEC)
        yield [await catalog.open("") for catalog in catalogs]


async def _clear(server: QdrantServer, prefix: str) -> None:
    """Remove all points but those that say what a collection is for."""
    async with server_client(server) as client:
        for name in await _names(client, prefix):
            await client.delete(name, models.FilterSelector(filter=EVERYTHING), wait=True)


async def remove_collections(server: QdrantServer, prefix: str) -> None:
    """Remove the collections whose names begin so."""
    async with server_client(server) as client:
        for name in await _names(client, prefix):
            await client.delete_collection(name)


async def _names(client: AsyncQdrantClient, prefix: str) -> list[str]:
    collections = (await client.get_collections()).collections
    return [one.name for one in collections if one.name.startswith(prefix)]


@asynccontextmanager
async def server_client(server: QdrantServer) -> AsyncIterator[AsyncQdrantClient]:
    """A client of the server, closed after the block."""
    client = AsyncQdrantClient(
        url=server.url, grpc_port=server.grpc_port, prefer_grpc=True, check_compatibility=False
    )
    try:
        yield client
    finally:
        await client.close()
