"""One index on a Qdrant server. Each method makes a single round trip if possible.

The server has no transactions. If a search returns two versions of a document, only the version
published last is kept, so no caller sees both; a count may include both while one is being
published. The chunks of a document are those of the version that its record names.
"""

from collections.abc import Iterable, Sequence

from rag_contract.errors import DependencyDown, FieldInvalid
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
from rag_retriever.engines.server.candidates import CandidateSearch
from rag_retriever.engines.server.messages import pb
from rag_retriever.engines.server.metadata_point import IndexMetadata
from rag_retriever.engines.server.nodes import Nodes
from rag_retriever.engines.server.points import Points
from rag_retriever.engines.server.requests import all_of, fields, to_filter, to_sparse_vector
from rag_retriever.engines.server.settlement import tidy
from rag_retriever.engines.server.values import from_values
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

    `rescore` must be set for a quantised collection. IDF is computed over the passages of the tenant or
    its collections only, so that scores reveal nothing about other tenants.
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
        self._search = CandidateSearch(self._points, collection, metadata.spec.dimensions, rescore)

    @property
    def spec(self) -> IndexSpec:
        return self._spec

    @property
    def version(self) -> str:
        """The state as of the last search or write through this process."""
        return self._points.state

    async def candidates(self, scope: Scope, query: Query, limit: int) -> Candidates:
        """Makes one round trip. In a large corpus IDF may be as old as `idf` states."""
        return await self._search.run(scope, query, limit)

    async def passages(self, scope: Scope, ids: Sequence[str]) -> list[Passage]:
        records = await self._records(scope, ids, payload=PASSAGE_FIELDS)
        payloads = {record.id.uuid: from_values(record.payload) for record in records}
        return [passage_from(one, payloads[one]) for one in ids if one in payloads]

    async def sparse_vectors(self, scope: Scope, ids: Sequence[str]) -> dict[str, SparseVector]:
        records = await self._records(scope, ids, vector=SPARSE)
        return {record.id.uuid: to_sparse_vector(record) for record in records}

    async def document(self, key: DocumentKey) -> Document | None:
        return (await self._points.record(key)).published

    async def documents(self, scope: Scope, after: str, limit: int) -> tuple[list[Document], str]:
        if after and not is_point_id(after):
            raise FieldInvalid.of("page_token", "must be a next_page_token of an earlier response")
        request = pb.ScrollPoints(
            collection_name=self._collection,
            filter=to_filter(predicates.scope_filter(scope, DOCUMENT)),
            limit=limit,
            offset=pb.PointId(uuid=after) if after else None,
            with_payload=fields([DOCUMENT]),
        )
        page = await self._nodes.read(lambda client: client.grpc_points.Scroll(request))
        documents = [document_from(from_values(record.payload)) for record in page.result]
        return documents, page.next_page_offset.uuid

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
            pb.QueryPoints(
                collection_name=self._collection,
                filter=all_of(predicates.in_scope(Scope(tenant, (name,)), DOCUMENT)),
                limit=1,
                with_payload=fields(()),
            )
            for name in collections
        ]
        found = await self._points.query(requests)
        return {name for name, points in zip(collections, found, strict=True) if points}

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

    async def _chunks(self, document: Document, ordinals: Iterable[int]) -> list[Passage]:
        """A version's chunks, published or not; missing ones are omitted."""
        ids = [document.key.point_id(document.version, ordinal) for ordinal in ordinals]
        if not ids:
            return []
        records = await self._points.get(ids, [CHUNK])
        chunks = {one.id.uuid: chunk_from(from_values(one.payload)) for one in records}
        return [Passage(one, document, chunks[one]) for one in ids if one in chunks]

    async def _records(
        self, scope: Scope, ids: Sequence[str], payload: Sequence[str] = (), vector: str = ""
    ) -> list[pb.RetrievedPoint]:
        valid_ids = [one for one in ids if is_point_id(one)]
        if not valid_ids:
            return []
        where = to_filter(predicates.scope_filter(scope, CHUNK), valid_ids)
        return await self._points.matching(where, len(valid_ids), payload, vector)
