"""The ingestor's methods over the wire: what a message means, and what is refused."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio

from rag.ingestor.v1 import ingestor_service_pb2 as pb
from rag_contract.errors import AppError
from rag_contract.status import from_rpc_error
from rag_ingestor.parsing.parse import parse
from tests.support.ingestor import office
from tests.support.ingestor.documents import pdf, wordml
from tests.support.ingestor.service import Ingesting, header, ingesting, parts
from tests.support.waiting import until

TEXT = ("# 휴가\n\n" + "연차휴가는 열다섯 날이다. " * 200).encode()
KEY = {"tenant_id": "kim", "collection": "wiki", "document_id": "leave"}


@pytest_asyncio.fixture
async def service() -> AsyncIterator[Ingesting]:
    async with ingesting() as opened:
        yield opened


async def refused(call: Any) -> AppError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return from_rpc_error(raised.value)


async def test_a_document_in_pieces_becomes_chunks_that_stand_in_its_text(
    service: Ingesting,
) -> None:
    head = header(document_id="leave", filename="leave.md", uri="https://wiki/leave")
    head.metadata.update({"team": "hr", "years": [2025, 2026], "public": True})
    pieces = [TEXT[at : at + 1000] for at in range(0, len(TEXT), 1000)]
    reply = await service.stub.IngestDocument(parts(head, *pieces))
    assert reply.outcome == pb.INGEST_OUTCOME_CREATED
    assert [timing.stage for timing in reply.timings] == ["split", "store", "total"]
    document = reply.document
    assert (document.title, document.media_type) == ("휴가", "text/markdown")
    assert document.metadata == head.metadata
    assert document.passage_count == service.embedding.embedded > 1
    again = await service.stub.IngestDocument(parts(head, TEXT))
    assert (again.outcome, again.document) == (pb.INGEST_OUTCOME_UNCHANGED, document)
    head.title = "다른 제목"
    changed = await service.stub.IngestDocument(parts(head, TEXT))
    assert changed.outcome == pb.INGEST_OUTCOME_REPLACED


async def test_a_document_is_read_listed_and_deleted(service: Ingesting) -> None:
    await service.stub.IngestDocument(parts(header(document_id="leave"), TEXT))
    stub = service.stub
    document = (await stub.GetDocument(pb.GetDocumentRequest(**KEY))).document
    listed = await stub.ListDocuments(pb.ListDocumentsRequest(tenant_id="kim"))
    assert list(listed.documents) == [document]
    request = pb.ListPassagesRequest(**KEY, first_ordinal=1, page_size=2)
    assert len((await stub.ListPassages(request)).passages) == 2
    other = {**KEY, "tenant_id": "lee"}
    assert (await refused(stub.GetDocument(pb.GetDocumentRequest(**other)))).reason == (
        "DOCUMENT_NOT_FOUND"
    )
    deleted = await stub.DeleteDocument(pb.DeleteDocumentRequest(**KEY))
    assert deleted.deleted_passages == document.passage_count
    for call in (
        stub.GetDocument(pb.GetDocumentRequest(**KEY)),
        stub.ListPassages(pb.ListPassagesRequest(**KEY)),
        stub.DeleteDocument(pb.DeleteDocumentRequest(**KEY)),
    ):
        assert (await refused(call)).reason == "DOCUMENT_NOT_FOUND"


@pytest.mark.parametrize(
    ("messages", "reason", "field"),
    [
        ([], "FIELD_INVALID", "header"),
        ([pb.IngestDocumentRequest(content=b"x")], "FIELD_INVALID", "header"),
        (parts(header(tenant_id=""), b"x"), "FIELD_INVALID", "header.tenant_id"),
        (parts(header(collection=""), b"x"), "FIELD_INVALID", "header.collection"),
        (parts(header()), "FIELD_INVALID", "content"),
        ([*parts(header(), b"a"), *parts(header())], "FIELD_INVALID", "content"),
        (parts(header(), b"a", b"b")[:-1], "FIELD_INVALID", "content"),
        (
            [*parts(header(), b"a", b"b")[:2], parts(header(), b"ab")[-1]],
            "FIELD_INVALID",
            "content",
        ),
        ([*parts(header(), b"ab")[:2], parts(header(), b"aB")[-1]], "FIELD_INVALID", "content"),
        ([*parts(header(), b"ab"), parts(header(), b"c")[1]], "FIELD_INVALID", "content"),
        (parts(header(), b"x" * (2**20 + 1)), "FIELD_INVALID", "content"),
        (parts(header(), b"%PDF-1.4 nothing"), "FIELD_INVALID", "content"),
        (parts(header(), b"x" * 2**20, b"y"), "MESSAGE_TOO_LARGE", ""),
    ],
)
async def test_a_document_that_cannot_be_read_is_refused_and_leaves_nothing(
    service: Ingesting, messages: list[pb.IngestDocumentRequest], reason: str, field: str
) -> None:
    error = await refused(service.stub.IngestDocument(messages))
    assert (error.reason, [one.field for one in error.violations]) == (
        reason,
        [field] if field else [],
    )
    assert not service.repository.kept


@pytest.mark.parametrize("missing", KEY)
async def test_a_document_is_named_by_three_parts(service: Ingesting, missing: str) -> None:
    key = {**KEY, missing: ""}
    for call in (
        service.stub.GetDocument(pb.GetDocumentRequest(**key)),
        service.stub.ListPassages(pb.ListPassagesRequest(**key)),
        service.stub.DeleteDocument(pb.DeleteDocumentRequest(**key)),
    ):
        assert [one.field for one in (await refused(call)).violations] == [missing]


async def test_pages_have_a_bounded_size(service: Ingesting) -> None:
    for call in (
        service.stub.ListDocuments(pb.ListDocumentsRequest(tenant_id="kim", page_size=1001)),
        service.stub.ListPassages(pb.ListPassagesRequest(**KEY, page_size=1001)),
    ):
        assert [one.field for one in (await refused(call)).violations] == ["page_size"]


async def test_all_documents_together_have_a_budget_until_they_are_split() -> None:
    size, large = 2 * 2**20, b"x" * 2**20
    async with ingesting(max_bytes=size) as service:
        service.splitting.gate = asyncio.Event()

        def started(name: str, *content: bytes) -> Any:
            # Time for all passages that so large a text has.
            messages = parts(header(document_id=name), *content)
            return service.stub.IngestDocument(messages, timeout=280)

        # A quarter of the four documents' memory is for small ones.
        calls = [started(f"doc-{number}", large, large) for number in range(3)]
        await until(lambda: service.splitting.waiting == 3, "three documents wait to be split")
        error = await refused(started("large", large, large))
        assert (error.reason, error.retry_after) == ("OVERLOADED", 2.0)
        calls += [started(f"small-{number}", large) for number in range(2)]
        await until(lambda: service.splitting.waiting == 5, "two small ones wait too")
        assert (await refused(started("small", b"x"))).reason == "OVERLOADED"
        service.repository.gate = asyncio.Event()
        service.splitting.gate.set()
        await until(lambda: service.repository.waiting == 5, "all of them are being stored")
        # What is being stored needs no file any more.
        calls += [started(f"more-{number}", large, large) for number in range(3)]
        await until(lambda: service.repository.waiting == 8, "three more are being stored")
        service.repository.gate.set()
        await asyncio.gather(*calls)


async def test_a_file_is_split_and_not_stored(service: Ingesting) -> None:
    messages = [pb.SplitDocumentRequest(header=pb.SplitHeader(filename="leave.md"))]
    messages += [
        pb.SplitDocumentRequest(content=TEXT[at : at + 1000]) for at in range(0, len(TEXT), 1000)
    ]
    replies = [reply async for reply in service.stub.SplitDocument(messages)]
    outline = replies[0].outline
    chunks = [one for reply in replies[1:] for one in reply.chunks.chunks]
    assert (outline.title, outline.media_type) == ("휴가", "text/markdown")
    assert outline.chunk_count == len(chunks) > 1
    assert [one.ordinal for one in chunks] == list(range(len(chunks)))
    assert all(one.span.end - one.span.start == len(one.text) for one in chunks)
    assert all(one.span.end_byte - one.span.start_byte == len(one.text.encode()) for one in chunks)
    assert not service.repository.kept


async def test_the_media_types_are_those_that_are_read(service: Ingesting) -> None:
    listed = (await service.stub.ListMediaTypes(pb.ListMediaTypesRequest())).media_types
    files = {
        "a.txt": "본문".encode(),
        "a.md": "# 제목\n\n본문".encode(),
        "a.html": "<html><body><p>본문</p></body></html>".encode(),
        "a.pdf": pdf([["text"]]),
        "a.docx": wordml("<w:p><w:r><w:t>본문</w:t></w:r></w:p>"),
        "a.pptx": office.presentation([("제목", "본문")]),
        "a.xlsx": office.xlsx({"시트": [["본문"]]}),
        "a.xls": office.xls({"시트": [["본문"]]}),
        "a.ods": office.ods("시트", [["본문"]]),
        "a.csv": b"name,team\nAnna,Sales",
        "a.hwp": office.made("rules.hwp"),
        "a.hwpx": office.made("rules.hwpx"),
        "a.rtf": office.rtf("본문"),
        "a.eml": office.mail("본문"),
    }
    assert {parse(content, name).media_type for name, content in files.items()} == set(listed)
