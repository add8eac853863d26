"""The retriever's methods over the wire: what a message means, and what is refused."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from rag.retriever.v1 import retriever_service_pb2 as pb
from rag.retriever.v1.retriever_service_pb2_grpc import RetrieverServiceStub
from rag.types.v1.vector_pb2 import DenseVector, SparseVector
from rag_contract.errors import AppError
from rag_contract.status import from_rpc_error
from tests.support.retriever.service import (
    DIMENSIONS,
    FINGERPRINT,
    chunk,
    dense,
    header,
    parts,
    retrieving,
    sparse,
)

NO_NUMBERS = DenseVector(data=b"\x00\x00\xc0\x7f" * DIMENSIONS)
BAD_SPARSE = (
    SparseVector(indices=[1, 2], values=[1.0]),
    SparseVector(indices=[2, 1], values=[1.0, 1.0]),
    SparseVector(indices=[1, 1], values=[1.0, 1.0]),
    SparseVector(indices=[1], values=[float("nan")]),
)


@pytest_asyncio.fixture
async def stub(tmp_path: Path) -> AsyncIterator[RetrieverServiceStub]:
    async with retrieving(tmp_path) as opened:
        yield opened


async def refused(call: Any) -> AppError:
    """The error that a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        _ = [reply async for reply in call] if hasattr(call, "__aiter__") else await call
    return from_rpc_error(raised.value)


def fields(error: AppError) -> list[str]:
    return [violation.field for violation in error.violations]


def search(**given: Any) -> pb.SearchRequest:
    basis: dict[str, Any] = {
        "tenant_id": "team",
        "dense": dense(0),
        "sparse": sparse(1),
        "fingerprint": FINGERPRINT,
    }
    return pb.SearchRequest(**{**basis, **given})


async def test_a_document_goes_in_and_comes_out_as_it_was(stub: RetrieverServiceStub) -> None:
    head = header(chunks=2)
    reply = await stub.UpsertChunks(parts(head, chunk(0, "하나"), chunk(1, "둘")))
    assert not reply.replaced
    document = reply.document
    assert document.update_time.seconds
    document.ClearField("update_time")
    assert document == head.document
    result = await stub.Search(search())
    assert {hit.passage.text for hit in result.passages} == {"하나", "둘"}
    passage = result.passages[0].passage
    assert (passage.document_id, passage.collection, passage.title) == ("doc", "wiki", "제목")
    assert passage.metadata["team"] == "hr"
    assert list(passage.headings) == ["제목"]
    version = result.index_version
    listed = await stub.ListChunks(
        pb.ListChunksRequest(tenant_id="team", collection="wiki", document_id="doc")
    )
    assert [one.ordinal for one in listed.passages] == [0, 1]
    reply = await stub.UpsertChunks(parts(header(version="v2"), chunk(0, "셋")))
    assert reply.replaced
    result = await stub.Search(search())
    assert [hit.passage.text for hit in result.passages] == ["셋"]
    assert result.index_version != version


async def test_a_removed_document_is_gone(stub: RetrieverServiceStub) -> None:
    await stub.UpsertChunks(parts(header(chunks=2), chunk(0), chunk(1)))
    key = {"tenant_id": "team", "collection": "wiki", "document_id": "doc"}
    assert (await stub.DeleteChunks(pb.DeleteChunksRequest(**key))).deleted_count == 2
    for call in (
        stub.DeleteChunks(pb.DeleteChunksRequest(**key)),
        stub.GetDocument(pb.GetDocumentRequest(**key)),
        stub.ListChunks(pb.ListChunksRequest(**key)),
    ):
        assert (await refused(call)).reason == "DOCUMENT_NOT_FOUND"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"tenant_id": ""}, "tenant_id"),
        ({"top_k": 0}, "top_k"),
        ({"top_k": 101}, "top_k"),
        ({"candidates": 1001}, "candidates"),
        ({"top_k": 20, "candidates": 10}, "candidates"),
        ({"fusion": 9}, "fusion"),
        ({"dense": None, "sparse": None}, "dense"),
        ({"dense": DenseVector(data=b"123")}, "dense"),
        ({"dense": DenseVector(data=b"1234")}, "dense"),
        ({"dense": DenseVector()}, "dense"),
        ({"dense": NO_NUMBERS}, "dense"),
        *(({"sparse": bad}, "sparse") for bad in BAD_SPARSE),
        ({"min_score": float("nan")}, "min_score"),
    ],
)
async def test_a_search_that_cannot_be_is_refused(
    stub: RetrieverServiceStub, given: dict[str, Any], field: str
) -> None:
    error = await refused(stub.Search(search(**given)))
    assert (error.reason, fields(error)) == ("FIELD_INVALID", [field])


async def test_an_invalid_filter_is_refused_with_its_path(stub: RetrieverServiceStub) -> None:
    error = await refused(stub.Search(search(filter={"must": [{"key": "k"}]})))
    assert (error.reason, fields(error)) == ("FILTER_INVALID", ["filter.must[0]"])
    count = pb.CountRequest(tenant_id="team", filter={"should": [{"key": ""}]})
    wrong = fields(await refused(stub.Count(count)))
    assert wrong == ["filter.should[0].key", "filter.should[0]"]


def vectors(**given: Any) -> pb.VectorChunk:
    """A chunk with these vectors."""
    one = chunk(0)
    for name, value in given.items():
        getattr(one, name).CopyFrom(value)
    return one


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], "header"),
        (parts(header(), chunk(0))[1:], "header"),
        ([*parts(header()), *parts(header())], "chunks"),
        (parts(header(), chunk(1)), "chunks"),
        (parts(header(chunks=2), chunk(0)), "chunks"),
        (parts(header(tenant_id=""), chunk(0)), "tenant_id"),
        (parts(header(name=""), chunk(0)), "document.document_id"),
        (parts(header(version=""), chunk(0)), "document.version"),
        (parts(header(), pb.VectorChunk(chunk=chunk(0).chunk, sparse=sparse(1))), "chunks.dense"),
        (parts(header(), vectors(dense=NO_NUMBERS)), "chunks.dense"),
        *((parts(header(), vectors(sparse=bad)), "chunks.sparse") for bad in BAD_SPARSE),
    ],
)
async def test_an_upsert_that_cannot_be_leaves_nothing(
    stub: RetrieverServiceStub, messages: list[pb.UpsertChunksRequest], field: str
) -> None:
    error = await refused(stub.UpsertChunks(messages))
    assert (error.reason, fields(error)) == ("FIELD_INVALID", [field])
    count = await stub.Count(pb.CountRequest(tenant_id="team"))
    assert (count.documents, count.chunks) == (0, 0)


async def test_metadata_without_a_value_is_refused(stub: RetrieverServiceStub) -> None:
    head = header()
    head.document.metadata.fields["nothing"].SetInParent()
    error = await refused(stub.UpsertChunks(parts(head, chunk(0))))
    assert (error.reason, fields(error)) == ("FIELD_INVALID", ["document.metadata.nothing"])


@pytest.mark.parametrize("missing", ["tenant_id", "collection", "document_id"])
async def test_a_document_is_named_by_three_parts(stub: RetrieverServiceStub, missing: str) -> None:
    key = {"tenant_id": "team", "collection": "wiki", "document_id": "doc", missing: ""}
    for call in (
        stub.GetDocument(pb.GetDocumentRequest(**key)),
        stub.ListChunks(pb.ListChunksRequest(**key)),
        stub.DeleteChunks(pb.DeleteChunksRequest(**key)),
    ):
        assert fields(await refused(call)) == [missing]


async def test_no_call_about_data_goes_without_a_tenant(stub: RetrieverServiceStub) -> None:
    for call in (
        stub.Search(search(tenant_id="")),
        stub.Count(pb.CountRequest()),
        stub.ListDocuments(pb.ListDocumentsRequest()),
    ):
        assert fields(await refused(call)) == ["tenant_id"]


async def test_documents_come_in_pages_of_a_bounded_size(stub: RetrieverServiceStub) -> None:
    for number in range(3):
        await stub.UpsertChunks(parts(header(f"doc-{number}"), chunk(0)))
    first = await stub.ListDocuments(pb.ListDocumentsRequest(tenant_id="team", page_size=2))
    rest = await stub.ListDocuments(
        pb.ListDocumentsRequest(tenant_id="team", page_token=first.next_page_token)
    )
    names = [document.document_id for document in (*first.documents, *rest.documents)]
    assert (sorted(names), rest.next_page_token) == (["doc-0", "doc-1", "doc-2"], "")
    over = pb.ListDocumentsRequest(tenant_id="team", page_size=1001)
    assert fields(await refused(stub.ListDocuments(over))) == ["page_size"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"index": ""}, "index"),
        ({"index": "default"}, "index"),
        ({"index": "Main"}, "index"),
        ({"index": "../up"}, "index"),
        ({"index": "a" * 65}, "index"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": 65_537}, "dimensions"),
        ({"fingerprint": ""}, "fingerprint"),
    ],
)
async def test_an_index_that_cannot_be_is_refused(
    stub: RetrieverServiceStub, given: dict[str, Any], field: str
) -> None:
    request = pb.CreateIndexRequest(
        **{"index": "other", "dimensions": 4, "fingerprint": "f", **given}
    )
    assert fields(await refused(stub.CreateIndex(request))) == [field]


async def test_an_index_lives_and_the_alias_moves(stub: RetrieverServiceStub) -> None:
    created = pb.CreateIndexRequest(index="next", dimensions=4, fingerprint="f")
    assert not (await stub.CreateIndex(created)).index.is_default
    names = [index.name for index in (await stub.ListIndexes(pb.ListIndexesRequest())).indexes]
    assert names == ["main", "next"]
    assert (await stub.SwitchAlias(pb.SwitchAliasRequest(index="next"))).index.is_default
    assert (await stub.GetIndex(pb.GetIndexRequest())).index.name == "next"
    assert (await stub.OptimizeIndex(pb.OptimizeIndexRequest())).index.name == "next"
    await stub.DeleteIndex(pb.DeleteIndexRequest(index="main"))
    error = await refused(stub.DeleteIndex(pb.DeleteIndexRequest(index="next")))
    assert error.reason == "INDEX_IS_DEFAULT"


async def test_an_unknown_index_is_not_found(stub: RetrieverServiceStub) -> None:
    for call in (
        stub.GetIndex(pb.GetIndexRequest(index="other")),
        stub.Search(search(index="other")),
        stub.UpsertChunks(parts(header(index="other"), chunk(0))),
        stub.SwitchAlias(pb.SwitchAliasRequest(index="other")),
        stub.DeleteIndex(pb.DeleteIndexRequest(index="other")),
    ):
        assert (await refused(call)).reason == "INDEX_NOT_FOUND"
