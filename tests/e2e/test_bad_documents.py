"""What a caller can get wrong with a document: its file, its facts, its id, its size, its pieces."""

import asyncio
from typing import Any

import grpc
import pytest

from rag.gateway.v1 import document_service_pb2 as documents
from tests.e2e.callers import CREATED, FIELD, TOO_LARGE, Caller, refused, row
from tests.e2e.platform import Platform
from tests.support.ingestor.documents import archive, pdf

# Every kind of broken file is in tests/unit/ingestor/test_parsing.py.
BROKEN: dict[str, tuple[bytes, str]] = {
    "an empty file": (b"", "empty.txt"),
    "a broken PDF": (pdf([["안녕"]])[:400], "broken.pdf"),
    "a zip named .docx": (archive({"a.txt": "가"}), "text.docx"),
    "an image": (b"\x89PNG\r\n\x1a\n" + bytes(200), "image.png"),
}


@pytest.mark.parametrize("kind", BROKEN)
async def test_a_file_that_cannot_be_read_is_refused_and_leaves_nothing(
    caller: Caller, kind: str
) -> None:
    content, name = BROKEN[kind]
    result = await refused(caller.ingest("doc", content, filename=name))
    assert row(result) == FIELD
    assert result.fields == ("content",)
    assert "/" not in result.message.replace("DOC, XLS", "")
    assert not await caller.every_document()


async def test_a_file_that_cannot_be_read_leaves_the_former_version(caller: Caller) -> None:
    await caller.ingest("doc", "좋은 판본입니다.")
    await refused(caller.ingest("doc", b"%PDF-1.7\nbroken", filename="doc.pdf"))
    assert [passage.text for passage in await caller.passages("doc")] == ["좋은 판본입니다."]


async def test_many_small_documents_at_once_are_all_there(caller: Caller) -> None:
    names = [f"note-{number:03}" for number in range(60)]
    done = await asyncio.gather(*(caller.ingest(name, f"쪽지 {name}") for name in names))
    assert {one.outcome for one in done} == {CREATED}
    assert sorted(await caller.every_document(page_size=25)) == names


async def test_the_most_metadata_that_may_be_is_kept_and_comes_back(caller: Caller) -> None:
    most = {f"k{number}": ["가" * 100] * 10 for number in range(64)}
    await caller.ingest("doc", "본문", metadata=most)
    assert len((await caller.get("doc")).metadata) == 64
    assert (await caller.search("본문")).passages


@pytest.mark.parametrize("value", [-0.0, 1e308, 2**53, "\u0000", [], [""], True])
async def test_every_value_that_may_be_comes_back_as_it_was(caller: Caller, value: Any) -> None:
    await caller.ingest("doc", "본문", metadata={"k": value})
    result = (await caller.get("doc")).metadata["k"]
    assert (list(result) if isinstance(value, list) else result) == value
    [hit] = (await caller.search("본문")).passages
    assert hit.passage.document_id == "doc"


@pytest.mark.parametrize("token", ["x", "a" * 1025, "\u0000", "urn:uuid:" + "0" * 32])
async def test_a_page_token_that_is_not_ours_is_invalid(caller: Caller, token: str) -> None:
    await caller.ingest("doc", "본문")
    refusal = await refused(caller.documents(page_token=token))
    assert (row(refusal), refusal.fields) == (FIELD, ("page_token",))


async def test_a_document_over_the_limit_of_a_message_must_be_streamed(caller: Caller) -> None:
    result = await refused(caller.ingest("doc", b"x" * (2**20 + 1)))
    assert row(result) == TOO_LARGE
    assert result.retry_after is None


async def test_a_message_over_the_server_s_limit_is_too_large(caller: Caller) -> None:
    """gRPC itself refuses it before it is read, so that there are no details."""
    result = await refused(caller.ingest("doc", b"x" * (17 * 2**20)))
    assert result.code == "RESOURCE_EXHAUSTED"
    assert await caller.every_document() == []


async def test_headers_over_the_limit_are_refused(
    platform: Platform, channel: grpc.aio.Channel, tenant: str
) -> None:
    heavy = Caller(channel, platform.token(tenant), extra=[("x-large", "a" * 65_000)])
    assert (await refused(heavy.capabilities())).code == "RESOURCE_EXHAUSTED"
    await Caller(channel, platform.token(tenant)).capabilities()


HEADER = documents.UploadDocumentRequest(
    header=documents.UploadHeader(document=documents.DocumentSpec(document_id="doc"))
)
PIECE = documents.UploadDocumentRequest(content="본문".encode())


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ([], "header"),
        ([PIECE], "header"),
        ([HEADER], "content"),
        ([HEADER, HEADER], "content"),
        ([HEADER, PIECE, HEADER], "content"),
        ([HEADER, documents.UploadDocumentRequest()], "content"),
        ([documents.UploadDocumentRequest(), PIECE], "header"),
        ([HEADER, documents.UploadDocumentRequest(content=b"x" * (2**20 + 1))], "content"),
    ],
)
async def test_an_upload_out_of_order_is_refused(
    caller: Caller, parts: list[documents.UploadDocumentRequest], field: str
) -> None:
    result = await refused(caller.send(parts))
    assert row(result) == FIELD
    assert result.fields == (field,)
    assert not await caller.every_document()


async def test_an_upload_over_the_limit_is_too_large(caller: Caller) -> None:
    piece = documents.UploadDocumentRequest(content=b"x" * 2**20)
    result = await refused(caller.send([HEADER, *[piece] * 65]))
    assert row(result) == TOO_LARGE
    assert result.metadata["limit_bytes"] == str(64 * 2**20)
