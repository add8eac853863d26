"""Every engine that there is, behind the one contract."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import pytest_asyncio
from rag_retriever.adapters.edge import EdgeCatalog
from rag_retriever.ports import Catalog, Index

from tests.contracts.samples import SPEC

# Without QDRANT_URL, as in CI, the real server is simply not among the engines.
_ENGINES = ["edge"]

OpenCatalog = Callable[[], AbstractAsyncContextManager[Catalog]]


@pytest.fixture(params=_ENGINES)
def open_catalog(request: pytest.FixtureRequest, tmp_path: Path) -> OpenCatalog:
    """Opens the catalog; a second time, after the first was left, the same data again."""
    return lambda: EdgeCatalog(tmp_path / "indexes")


@pytest_asyncio.fixture
async def catalog(open_catalog: OpenCatalog) -> AsyncIterator[Catalog]:
    async with open_catalog() as opened:
        yield opened


@pytest_asyncio.fixture
async def index(catalog: Catalog) -> Index:
    await catalog.create(SPEC)
    return await catalog.open("")
