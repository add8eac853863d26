"""One index on a Qdrant server. Each method is one round trip where it can be.

The server has no transactions. A search that meets two versions of a document keeps the one that
was published later, so no caller sees both; a count may, for the moment that publishing takes.
"""

from collections.abc import Sequence
from time import perf_counter

from qdrant_client import AsyncQdrantClient, models

from rag_common.errors import EmbeddingMismatch, InvalidArgument
from rag_retriever.adapters import matching
from rag_retriever.adapters.payload import (
    CHUNK,
    DOCUMENT,
    PASSAGE_FIELDS,
    SPARSE,
    document_from,
    is_id,
    passage_from,
)
from rag_retriever.adapters.server.answers import hits_of, latest_versions, sparse_of
from rag_retriever.adapters.server.record import Record, state_from, state_request
from rag_retriever.adapters.server.requests import (
    dense_request,
    filtered,
    having,
    sparse_request,
    translated,
)
from rag_retriever.adapters.server.writing import Writer
from rag_retriever.filters import Scope
from rag_retriever.passages import (
    Candidates,
    Document,
    DocumentKey,
    Passage,
    Query,
    SparseVector,
    VectorChunk,
)
from rag_retriever.ports import IndexSpec


class ServerIndex:
    """`rescore` for a collection that is quantised; `tenant_idf` as in the embedded engine."""

    def __init__(
        self,
        client: AsyncQdrantClient,
        collection: str,
        record: Record,
        rescore: bool,
        tenant_idf: bool,
    ) -> None:
        self._client = client
        self._collection = collection
        self._spec = record.spec
        self._writer = Writer(client, collection, record)
        self._rescore = rescore
        self._tenant_idf = tenant_idf

    @property
    def spec(self) -> IndexSpec:
        return self._spec

    @property
    def version(self) -> str:
        """Of the last search or write through this process."""
        return self._writer.state

    async def candidates(self, scope: Scope, query: Query, limit: int) -> Candidates:
        """Both lists come in one round trip: the time of each is that of the trip."""
        requests = self._requests(scope, query, limit)
        started = perf_counter()
        with translated():
            responses = await self._client.query_batch_points(
                self._collection, [*requests.values(), state_request()]
            )
        seconds = perf_counter() - started
        self._writer.state = state_from(responses[-1], self._writer.state)
        lists = dict(zip(requests, (one.points for one in responses), strict=False))
        latest = latest_versions(point for points in lists.values() for point in points)
        dense, sparse = (hits_of(lists.get(name, []), latest) for name in ("dense", "sparse"))
        return Candidates(
            dense, sparse, seconds * ("dense" in lists), seconds * ("sparse" in lists)
        )

    async def passages(self, scope: Scope, ids: Sequence[str]) -> list[Passage]:
        records = await self._records(scope, ids, payload=list(PASSAGE_FIELDS))
        found = {str(record.id): record.payload or {} for record in records}
        return [passage_from(id, found[id]) for id in ids if id in found]

    async def sparse_vectors(self, scope: Scope, ids: Sequence[str]) -> dict[str, SparseVector]:
        records = await self._records(scope, ids, vector=[SPARSE])
        return {str(record.id): sparse_of(record) for record in records}

    async def document(self, key: DocumentKey) -> Document | None:
        with translated():
            points = await self._client.retrieve(
                self._collection, [key.point_id()], with_payload=[DOCUMENT]
            )
        return document_from(points[0].payload or {}) if points else None

    async def documents(self, scope: Scope, after: str, limit: int) -> tuple[list[Document], str]:
        if after and not is_id(after):
            raise InvalidArgument.of("page_token", "a token from the reply before, unchanged")
        with translated():
            records, following = await self._client.scroll(
                self._collection,
                filtered(matching.matches(scope, DOCUMENT)),
                limit=limit,
                offset=after or None,
                with_payload=[DOCUMENT],
            )
        documents = [document_from(record.payload or {}) for record in records]
        return documents, "" if following is None else str(following)

    async def chunks(self, key: DocumentKey, first: int, limit: int) -> list[Passage]:
        document = await self.document(key)
        if document is None:
            return []
        ordinals = range(first, min(first + limit, document.passage_count))
        ids = [key.point_id(document.version, ordinal) for ordinal in ordinals]
        return await self.passages(Scope(key.tenant, (key.collection,)), ids)

    async def count(self, scope: Scope) -> tuple[int, int]:
        documents, chunks = [
            await self._count(filtered(matching.matches(scope, kind))) for kind in (DOCUMENT, CHUNK)
        ]
        return documents, chunks

    async def stage(self, document: Document, chunks: Sequence[VectorChunk]) -> None:
        await self._writer.stage(document, chunks)

    async def publish(self, document: Document) -> None:
        await self._writer.publish(document)

    async def discard(self, document: Document) -> None:
        await self._writer.discard(document)

    async def delete(self, key: DocumentKey) -> int | None:
        return await self._writer.delete(key)

    def _requests(self, scope: Scope, query: Query, limit: int) -> dict[str, models.QueryRequest]:
        where = filtered(matching.matches(scope, CHUNK))
        requests = {}
        if query.dense is not None:
            if len(query.dense) != 4 * self._spec.dimensions:
                raise EmbeddingMismatch(
                    f"this index holds vectors of {self._spec.dimensions} dimensions"
                )
            requests["dense"] = dense_request(query.dense, where, limit, self._rescore)
        if query.sparse is not None and query.sparse.indices:
            corpus = having(matching.within(scope, CHUNK)) if self._tenant_idf else None
            requests["sparse"] = sparse_request(query.sparse, where, limit, corpus)
        return requests

    async def _records(
        self,
        scope: Scope,
        ids: Sequence[str],
        payload: list[str] | bool = False,
        vector: list[str] | bool = False,
    ) -> list[models.Record]:
        wanted = [id for id in ids if is_id(id)]
        if not wanted:
            return []
        with translated():
            records, _ = await self._client.scroll(
                self._collection,
                filtered(matching.matches(scope, CHUNK), wanted),
                limit=len(wanted),
                with_payload=payload,
                with_vectors=vector,
            )
        return records

    async def _count(self, where: models.Filter) -> int:
        with translated():
            return (await self._client.count(self._collection, where, exact=True)).count
