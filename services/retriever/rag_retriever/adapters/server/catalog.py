"""The indexes on a Qdrant server: collections with a prefix, and an alias for `default`."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from qdrant_client import AsyncQdrantClient, models

from rag_common.errors import EmbeddingMismatch, FailedPrecondition, IndexNotFound, InvalidArgument
from rag_retriever.adapters.server.census import drift, holdings
from rag_retriever.adapters.server.collection import ServerOptions, make_collection
from rag_retriever.adapters.server.index import ServerIndex
from rag_retriever.adapters.server.record import Record, read_record
from rag_retriever.adapters.server.requests import translated
from rag_retriever.ports import Holdings, Index, IndexInfo, IndexSpec, IndexState

_DEFAULT = "default"
_OPTIONS = ServerOptions()
_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
_STATES = {
    models.CollectionStatus.GREEN: IndexState.READY,
    models.CollectionStatus.YELLOW: IndexState.OPTIMIZING,
}


@asynccontextmanager
async def connected(
    url: str,
    api_key: Callable[[], str] | None = None,
    *,
    prefer_grpc: bool = True,
    timeout: int = 5,
    options: ServerOptions = _OPTIONS,
) -> AsyncIterator["ServerCatalog"]:
    """A catalog on a connection of its own; `timeout` in seconds is the deadline of every call.

    `api_key` is asked for with each call, and may then be another one.
    """
    client = AsyncQdrantClient(
        url=url,
        auth_token_provider=api_key,
        prefer_grpc=prefer_grpc,
        timeout=timeout,
        check_compatibility=False,
    )
    try:
        yield ServerCatalog(client, options)
    finally:
        await client.close()


class ServerCatalog:
    """Holds no data of its own but the indexes opened: other replicas may change all of it."""

    def __init__(self, client: AsyncQdrantClient, options: ServerOptions = _OPTIONS) -> None:
        self._client = client
        self._options = options
        self._open: dict[str, ServerIndex] = {}

    async def create(self, spec: IndexSpec) -> IndexInfo:
        if not _NAME.fullmatch(spec.name) or spec.name == _DEFAULT:
            raise InvalidArgument.of(
                "index", "a lower-case letter, then letters, digits or hyphens, at most 64"
            )
        record = await self._record(spec.name)
        if record is not None and record.spec != spec:
            raise EmbeddingMismatch("an index of that name is there, for other vectors")
        if record is None:
            await make_collection(self._client, self._collection(spec.name), spec, self._options)
        if await self._default() is None:
            await self.switch(spec.name)
        return await self.describe(spec.name)

    async def open(self, name: str) -> Index:
        """Asks the server once for each index, and for what the alias means each time."""
        meant = await self._meant(name)
        if meant not in self._open:
            record = await self._known(meant)
            self._open[meant] = ServerIndex(
                self._client,
                self._collection(meant),
                record,
                self._options.int8,
                self._options.tenant_idf,
            )
        return self._open[meant]

    async def describe(self, name: str) -> IndexInfo:
        meant = await self._meant(name)
        record = await self._known(meant)
        with translated():
            info = await self._client.get_collection(self._collection(meant))
            count = await self._client.count(self._collection(meant), exact=True)
        return IndexInfo(
            spec=record.spec,
            points=count.count - 1,
            state=_STATES.get(info.status, IndexState.UNOPTIMIZED),
            is_default=await self._default() == meant,
            engine="server",
            created=record.created,
        )

    async def list(self) -> list[IndexInfo]:
        with translated():
            collections = (await self._client.get_collections()).collections
        prefix = self._options.prefix
        names = [
            one.name.removeprefix(prefix) for one in collections if one.name.startswith(prefix)
        ]
        return [await self.describe(name) for name in sorted(names) if await self._record(name)]

    async def holdings(self, name: str) -> Holdings:
        """The server does not say how many bytes it keeps."""
        meant = await self._meant(name)
        await self._known(meant)
        return await holdings(self._client, self._collection(meant))

    async def drift(self, name: str) -> int | None:
        meant = await self._meant(name)
        before = await self._known(meant)
        found = await drift(self._client, self._collection(meant))
        return found if (await self._known(meant)).state == before.state else None

    async def optimize(self, name: str) -> IndexInfo:
        """The server does so by itself, all the time."""
        return await self.describe(name)

    async def switch(self, name: str) -> IndexInfo:
        meant = await self._meant(name)
        await self._known(meant)
        alias = models.CreateAlias(
            collection_name=self._collection(meant), alias_name=self._collection(_DEFAULT)
        )
        with translated():
            await self._client.update_collection_aliases(
                [models.CreateAliasOperation(create_alias=alias)]
            )
        return await self.describe(meant)

    async def drop(self, name: str) -> None:
        meant = await self._meant(name)
        await self._known(meant)
        if meant == await self._default():
            raise FailedPrecondition("`default` means this index; switch it to another one first")
        self._open.pop(meant, None)
        with translated():
            await self._client.delete_collection(self._collection(meant))

    async def _meant(self, name: str) -> str:
        meant = await self._default() if name in ("", _DEFAULT) else name
        if meant is None or not _NAME.fullmatch(meant):
            raise IndexNotFound("there is no index of that name")
        return meant

    async def _default(self) -> str | None:
        with translated():
            aliases = (await self._client.get_aliases()).aliases
        alias = self._collection(_DEFAULT)
        meant = [one.collection_name for one in aliases if one.alias_name == alias]
        return meant[0].removeprefix(self._options.prefix) if meant else None

    async def _known(self, name: str) -> Record:
        record = await self._record(name)
        if record is None:
            raise IndexNotFound("there is no index of that name")
        return record

    async def _record(self, name: str) -> Record | None:
        collection = self._collection(name)
        with translated():
            if not await self._client.collection_exists(collection):
                return None
        return await read_record(self._client, collection)

    def _collection(self, name: str) -> str:
        return self._options.prefix + name
