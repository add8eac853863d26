"""The catalog of the server engine: collections with a name prefix, and an alias for `default`."""

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

import structlog

from rag_common.aio import periodic
from rag_contract.errors import (
    EmbeddingMismatch,
    IndexIsDefault,
    IndexNotFound,
    NotConfigured,
)
from rag_retriever.engines.payload import SCOPE
from rag_retriever.engines.predicates import AnyOf
from rag_retriever.engines.server.collection import (
    ServerOptions,
    collect_stats,
    create_collection,
    drift,
    exists,
    info,
)
from rag_retriever.engines.server.index import ServerIndex
from rag_retriever.engines.server.messages import pb
from rag_retriever.engines.server.metadata_point import METADATA_SCOPE, IndexMetadata, read_metadata
from rag_retriever.engines.server.nodes import Nodes, connected_nodes
from rag_retriever.engines.server.points import Points
from rag_retriever.engines.server.requests import all_of
from rag_retriever.engines.server.revisions import DELETED_SCOPE
from rag_retriever.engines.server.tls import TlsFiles
from rag_retriever.index.names import DEFAULT, is_valid_name, require_valid_name
from rag_retriever.index.ports import Index, IndexInfo, IndexSpec, IndexState, IndexStats

# The first version with IDF over the points of a filter: an older one takes all tenants' passages
# together. Updates conditional on a filter and on whether the point exists came with 1.17.
_MIN_VERSION = (1, 19)
_TIMEOUT_SECONDS = 5
_TIDY_SECONDS = 60.0
_NO_TLS_FILES = TlsFiles()
# All points except the metadata point and the records of removed documents.
_DATA = all_of(must_not=[AnyOf(SCOPE, [METADATA_SCOPE, DELETED_SCOPE])])
log = structlog.get_logger()
_OPTIONS = ServerOptions()
_STATES = {
    pb.CollectionStatus.Green: IndexState.READY,
    pb.CollectionStatus.Yellow: IndexState.OPTIMIZING,
}


@dataclass(slots=True)
class _Alias:
    """The default index when it was last read, at this monotonic time."""

    index: str = ""
    time: float = -math.inf

    def age(self) -> float:
        return monotonic() - self.time


@asynccontextmanager
async def connected(
    url: str,
    api_key: Callable[[], str] | None = None,
    *,
    grpc_port: int = 6334,
    timeout: int = _TIMEOUT_SECONDS,
    tls: TlsFiles = _NO_TLS_FILES,
    options: ServerOptions = _OPTIONS,
) -> AsyncIterator["ServerCatalog"]:
    """A catalog with its own connections; abandoned changes are cleaned up in the background.

    `url` is one URL, or comma-separated URLs of a deployment's nodes. `timeout` in seconds is the
    deadline of every call. `api_key` is called for each request, since the key may change.
    """
    urls = [one.strip() for one in url.split(",") if one.strip()]
    async with connected_nodes(urls, grpc_port, timeout, api_key, tls) as nodes:
        catalog = ServerCatalog(nodes, options)
        async with periodic(catalog.tidy, _TIDY_SECONDS, event="tidy_failed"):
            yield catalog


class ServerCatalog:
    """Caches only opened indexes and, for callers that allow it, which one is the default.

    Other replicas may change everything else.
    """

    def __init__(self, nodes: Nodes, options: ServerOptions = _OPTIONS) -> None:
        self._nodes = nodes
        self._options = options
        self._open: dict[str, ServerIndex] = {}
        self._version_known = False
        self._alias = _Alias()

    async def create(self, spec: IndexSpec) -> IndexInfo:
        require_valid_name(spec.name)
        await self._require_version()
        metadata = await self._read_metadata(spec.name)
        if metadata is not None and metadata.spec != spec:
            raise EmbeddingMismatch("an index with this name exists for other vectors")
        if metadata is None:
            await create_collection(self._nodes, self._collection(spec.name), spec, self._options)
        if await self._default() is None:
            await self.switch(spec.name)
        return await self.describe(spec.name)

    async def open(self, name: str, max_age: float = 0.0) -> Index:
        """Reads an index's metadata once."""
        if name in ("", DEFAULT) and self._alias.age() <= max_age:
            name = self._alias.index
        return await self._open_index(await self._resolve(name))

    async def describe(self, name: str) -> IndexInfo:
        resolved = await self._resolve(name)
        metadata = await self._require_metadata(resolved)
        collection = self._collection(resolved)
        described = await info(self._nodes, collection)
        points = await Points(self._nodes, collection, metadata.state).count(_DATA)
        return IndexInfo(
            spec=metadata.spec,
            points=points,
            state=_STATES.get(described.status, IndexState.UNOPTIMIZED),
            is_default=await self._default() == resolved,
            engine="server",
            created=metadata.created,
        )

    async def list_indexes(self) -> list[IndexInfo]:
        names = await self._names()
        return [await self.describe(name) for name in names if await self._read_metadata(name)]

    async def stats(self, name: str) -> IndexStats:
        """`disk_bytes` is None: the server does not report it."""
        resolved = await self._resolve(name)
        await self._require_metadata(resolved)
        return await collect_stats(self._nodes, self._collection(resolved))

    async def drift(self, name: str) -> int | None:
        resolved = await self._resolve(name)
        before = await self._require_metadata(resolved)
        chunks = await drift(self._nodes, self._collection(resolved))
        return chunks if (await self._require_metadata(resolved)).state == before.state else None

    async def optimize(self, name: str) -> IndexInfo:
        """Does nothing: the server optimises continuously by itself."""
        return await self.describe(name)

    async def tidy(
        self, *, abandoned_seconds: float = 30.0, retention_seconds: float = 24 * 3600.0
    ) -> None:
        """Finish abandoned changes in every index, see `settlement.tidy`.

        A failure in one index is logged and does not affect the others.
        """
        for name in await self._names():
            try:
                if await self._read_metadata(name):
                    await (await self._open_index(name)).tidy(abandoned_seconds, retention_seconds)
            except Exception as error:
                log.warning("index_not_tidied", index=name, error=type(error).__name__)

    async def switch(self, name: str) -> IndexInfo:
        resolved = await self._resolve(name)
        await self._require_metadata(resolved)
        alias = pb.CreateAlias(
            collection_name=self._collection(resolved), alias_name=self._collection(DEFAULT)
        )
        request = pb.ChangeAliases(actions=[pb.AliasOperations(create_alias=alias)])
        await self._nodes.write(lambda client: client.grpc_collections.UpdateAliases(request))
        # Replaced, so that a call in progress cannot keep what it read before.
        self._alias = _Alias()
        return await self.describe(resolved)

    async def drop(self, name: str) -> None:
        resolved = await self._resolve(name)
        await self._require_metadata(resolved)
        if resolved == await self._default():
            raise IndexIsDefault("`default` refers to this index; switch it to another index first")
        self._open.pop(resolved, None)
        request = pb.DeleteCollection(collection_name=self._collection(resolved))
        await self._nodes.write(lambda client: client.grpc_collections.Delete(request))

    async def _names(self) -> Sequence[str]:
        """The names of all indexes in order, including those still being created."""
        request, prefix = pb.ListCollectionsRequest(), self._options.prefix
        response = await self._nodes.read(lambda client: client.grpc_collections.List(request))
        names = [one.name for one in response.collections]
        return sorted(name.removeprefix(prefix) for name in names if name.startswith(prefix))

    async def _open_index(self, name: str) -> ServerIndex:
        if name not in self._open:
            await self._require_version()
            metadata = await self._require_metadata(name)
            self._open[name] = ServerIndex(
                self._nodes,
                self._collection(name),
                metadata,
                self._options.int8,
            )
        return self._open[name]

    async def _require_version(self) -> None:
        """Raise NotConfigured for an older server, which would ignore parts of requests."""
        if self._version_known:
            return
        version = (await self._nodes.read(lambda client: client.info())).version
        major, minor = (int(part) for part in version.split(".")[:2])
        if (major, minor) < _MIN_VERSION:
            raise NotConfigured(
                f"the Qdrant server is {version}; version 1.19 or newer is required"
            )
        self._version_known = True

    async def _resolve(self, name: str) -> str:
        resolved = await self._default() if name in ("", DEFAULT) else name
        if resolved is None or not is_valid_name(resolved):
            raise IndexNotFound("index not found")
        return resolved

    async def _default(self) -> str | None:
        cached, now = self._alias, monotonic()
        request = pb.ListAliasesRequest()
        aliases = (
            await self._nodes.read(lambda client: client.grpc_collections.ListAliases(request))
        ).aliases
        alias = self._collection(DEFAULT)
        resolved = [one.collection_name for one in aliases if one.alias_name == alias]
        if not resolved:
            return None
        cached.index, cached.time = resolved[0].removeprefix(self._options.prefix), now
        return cached.index

    async def _require_metadata(self, name: str) -> IndexMetadata:
        metadata = await self._read_metadata(name)
        if metadata is None:
            raise IndexNotFound("index not found")
        return metadata

    async def _read_metadata(self, name: str) -> IndexMetadata | None:
        collection = self._collection(name)
        if not await exists(self._nodes, collection):
            return None
        return await read_metadata(self._nodes, collection)

    def _collection(self, name: str) -> str:
        return self._options.prefix + name
