"""Every engine that there is, behind the one contract."""

import os
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from qdrant_client import AsyncQdrantClient

from rag_retriever.adapters.edge import EdgeCatalog
from rag_retriever.adapters.server import ServerCatalog, ServerOptions, connected
from rag_retriever.ports import Catalog, Index
from tests.contracts.samples import SPEC

OpenCatalog = Callable[[], AbstractAsyncContextManager[Catalog]]

# Without QDRANT_URL, as in CI, a real server is simply not among the engines; `local` shows that
# the calls to one have the right shape. A server with an API key: QDRANT_API_KEY.
_URL = os.environ.get("QDRANT_URL", "")
_KEY = os.environ.get("QDRANT_API_KEY")
_ENGINES = ["edge", "local", *(["server"] if _URL else [])]


@pytest.fixture(params=_ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest_asyncio.fixture
async def open_catalog(engine: str, tmp_path: Path) -> AsyncIterator[OpenCatalog]:
    """Opens the catalog; a second time, after the first was left, the same data again."""
    if engine == "edge":
        yield lambda: EdgeCatalog(tmp_path / "indexes")
    elif engine == "local":
        client = AsyncQdrantClient(":memory:")
        yield lambda: _held(ServerCatalog(client))
    else:
        options = ServerOptions(prefix=f"test-{uuid.uuid4().hex[:8]}-")
        yield lambda: connected(_URL, (lambda: _KEY) if _KEY else None, options=options)
        await _clear(options.prefix)


@pytest_asyncio.fixture
async def catalog(open_catalog: OpenCatalog) -> AsyncIterator[Catalog]:
    async with open_catalog() as opened:
        yield opened


@pytest_asyncio.fixture
async def index(catalog: Catalog) -> Index:
    await catalog.create(SPEC)
    return await catalog.open("")


@asynccontextmanager
async def _held(catalog: Catalog) -> AsyncIterator[Catalog]:
    yield catalog


async def _clear(prefix: str) -> None:
    client = AsyncQdrantClient(url=_URL, api_key=_KEY)
    for collection in (await client.get_collections()).collections:
        if collection.name.startswith(prefix):
            await client.delete_collection(collection.name)
    await client.close()
