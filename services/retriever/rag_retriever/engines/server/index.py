"""One index on a Qdrant server. Each method makes a single round trip if possible.

The server has no transactions. If a search returns two versions of a document, only the version
published last is kept, so no caller sees both; a count may include both while one is being
published. The chunks of a document are those of the version that its record names.
"""

from collections.abc import Iterable, Sequence
from time import perf_counter

from qdrant_client import models

from rag_contract.errors import DependencyDown, EmbeddingMismatch, FieldInvalid
from rag_retriever.engines import predicates
from rag_retriever.engines.payload import (
    CHUNK,
    DOCUMENT,
    PASSAGE_FIELDS,
    SPARSE,
    chunk_from,
    document_from,
    is_point_id,
    passage_from,
)
from rag_retriever.engines.server.metadata_point import IndexMetadata, state_from, state_request
from rag_retriever.engines.server.nodes import Nodes
from rag_retriever.engines.server.points import Points
from rag_retriever.engines.server.requests import (
    all_of,
    dense_request,
    latest_versions,
    sparse_request,
    to_filter,
    to_hits,
    to_sparse_vector,
)
from rag_retriever.engines.server.settlement import tidy
from rag_retriever.engines.server.writer import Writer
from rag_retriever.index.filters import Scope
from rag_retriever.index.model import (
    Candidates,
    Document,
    DocumentKey,
    Passage,
    Query,
    SparseVector,
    VectorChunk,
)
from rag_retriever.index.ports import IndexSpec, Published

# More replacements than this during a single read indicate a fault.
_READS = 5
_RETRY_SECONDS = 1.0


class ServerIndex:
    """An index on a Qdrant server.

    `rescore` must be set for a quantised collection. Term frequencies as in `EdgeIndex`.
    """

    def __init__(
        self,
        nodes: Nodes,
        collection: str,
        metadata: IndexMetadata,
        rescore: bool,
    ) -> None:
        self._nodes = nodes
        self._collection = collection
        self._spec = metadata.spec
        self._points = Points(nodes, collection, metadata.state)
        self._writer = Writer(nodes, collection, metadata.spec.dimensions, self._points)
        self._rescore = rescore

    @property
    def spec(self) -> IndexSpec:
        return self._spec

    @property
    def version(self) -> str:
        """The state as of the last search or write through this process."""
        return self._points.state

    async def candidates(self, scope: Scope, query: Query, limit: int) -> Candidates:
        """Both lists come in one round trip, whose duration is reported for each."""
        requests = self._requests(scope, query, limit)
        started = perf_counter()
        responses = await self._nodes.read(
            lambda client: client.query_batch_points(
                self._collection, [*requests.values(), state_request()]
            )
        )
        seconds = perf_counter() - started
        self._points.state = state_from(responses[-1], self._points.state)
        lists = dict(zip(requests, (one.points for one in responses), strict=False))
        latest = latest_versions(point for points in lists.values() for point in points)
        dense, sparse = (to_hits(lists.get(name, []), latest) for name in ("dense", "sparse"))
        return Candidates(
            dense,
            sparse,
            seconds * ("dense" in lists),
            seconds * ("sparse" in lists),
            await self._terms(scope, sparse[0].passage_id) if dense and sparse else frozenset(),
        )

    async def passages(self, scope: Scope, ids: Sequence[str]) -> list[Passage]:
        records = await self._records(scope, ids, payload=list(PASSAGE_FIELDS))
        payloads = {str(record.id): record.payload or {} for record in records}
        return [passage_from(one, payloads[one]) for one in ids if one in payloads]

    async def sparse_vectors(self, scope: Scope, ids: Sequence[str]) -> dict[str, SparseVector]:
        records = await self._records(scope, ids, vector=[SPARSE])
        return {str(record.id): to_sparse_vector(record) for record in records}

    async def document(self, key: DocumentKey) -> Document | None:
        return (await self._points.record(key)).published

    async def documents(self, scope: Scope, after: str, limit: int) -> tuple[list[Document], str]:
        if after and not is_point_id(after):
            raise FieldInvalid.of("page_token", "must be a next_page_token of an earlier response")
        where = to_filter(predicates.scope_filter(scope, DOCUMENT))
        records, following = await self._nodes.read(
            lambda client: client.scroll(
                self._collection, where, limit=limit, offset=after or None, with_payload=[DOCUMENT]
            )
        )
        documents = [document_from(record.payload or {}) for record in records]
        return documents, "" if following is None else str(following)

    async def chunks(self, key: DocumentKey, first: int, limit: int) -> list[Passage]:
        """Reads again if the document was replaced between reading its record and its chunks."""
        passages: list[Passage] = []
        document = await self.document(key)
        for _ in range(_READS):
            if document is None:
                return []
            ordinals = range(first, min(first + limit, document.passage_count))
            passages = await self._chunks(document, ordinals)
            if len(passages) == len(ordinals):
                return passages
            former, document = document, await self.document(key)
            if document == former:
                return passages
        raise DependencyDown("this document keeps changing", retry_after=_RETRY_SECONDS)

    async def count(self, scope: Scope) -> tuple[int, int]:
        documents, chunks = [
            await self._points.count(to_filter(predicates.scope_filter(scope, kind)))
            for kind in (DOCUMENT, CHUNK)
        ]
        return documents, chunks

    async def existing_collections(self, tenant: str, collections: Sequence[str]) -> set[str]:
        if not collections:
            return set()
        requests = [
            models.QueryRequest(
                filter=all_of(predicates.in_scope(Scope(tenant, (name,)), DOCUMENT)), limit=1
            )
            for name in collections
        ]
        responses = await self._nodes.read(
            lambda client: client.query_batch_points(self._collection, requests)
        )
        return {name for name, one in zip(collections, responses, strict=True) if one.points}

    async def stage(self, document: Document, chunks: Sequence[VectorChunk]) -> None:
        await self._writer.stage(document, chunks)

    async def publish(self, document: Document) -> Published:
        return await self._writer.publish(document)

    async def discard(self, document: Document) -> None:
        await self._writer.discard(document)

    async def delete(self, key: DocumentKey) -> int | None:
        return await self._writer.delete(key)

    async def tidy(self, abandoned_seconds: float, retention_seconds: float) -> None:
        """Finish abandoned changes and remove obsolete points, see `settlement.tidy`."""
        await tidy(self._points, abandoned_seconds, retention_seconds)

    def _requests(self, scope: Scope, query: Query, limit: int) -> dict[str, models.QueryRequest]:
        where = to_filter(predicates.scope_filter(scope, CHUNK))
        requests = {}
        if query.dense is not None:
            if len(query.dense) != 4 * self._spec.dimensions:
                raise EmbeddingMismatch(
                    f"this index holds vectors of {self._spec.dimensions} dimensions"
                )
            requests["dense"] = dense_request(query.dense, where, limit, self._rescore)
        if query.sparse is not None and query.sparse.indices:
            corpus = all_of(predicates.in_scope(scope, CHUNK))
            requests["sparse"] = sparse_request(query.sparse, where, limit, corpus)
        return requests

    async def _terms(self, scope: Scope, passage_id: str) -> frozenset[int]:
        vectors = await self.sparse_vectors(scope, [passage_id])
        return frozenset(vectors[passage_id].indices) if passage_id in vectors else frozenset()

    async def _chunks(self, document: Document, ordinals: Iterable[int]) -> list[Passage]:
        """A version's chunks, published or not; missing ones are omitted."""
        ids = [document.key.point_id(document.version, ordinal) for ordinal in ordinals]
        if not ids:
            return []
        records = await self._nodes.read(
            lambda client: client.retrieve(self._collection, ids, with_payload=[CHUNK])
        )
        chunks = {str(one.id): chunk_from(one.payload or {}) for one in records}
        return [Passage(one, document, chunks[one]) for one in ids if one in chunks]

    async def _records(
        self,
        scope: Scope,
        ids: Sequence[str],
        payload: list[str] | bool = False,
        vector: list[str] | bool = False,
    ) -> list[models.Record]:
        valid_ids = [one for one in ids if is_point_id(one)]
        if not valid_ids:
            return []
        where = to_filter(predicates.scope_filter(scope, CHUNK), valid_ids)
        records, _ = await self._nodes.read(
            lambda client: client.scroll(
                self._collection,
                where,
                limit=len(valid_ids),
                with_payload=payload,
                with_vectors=vector,
            )
        )
        return records
