"""What a caller can get wrong with a document: its file, its facts, its id, its size, its pieces."""

import asyncio
from typing import Any

import grpc
import pytest

from rag.gateway.v1 import document_service_pb2 as documents
from tests.e2e.callers import CREATED, FIELD, TOO_LARGE, Caller, refused, row
from tests.e2e.platform import Platform
from tests.retriever.documents import archive, entities, pdf

BROKEN: dict[str, tuple[bytes, str]] = {
    "an empty file": (b"", "empty.txt"),
    "white space": (b" \n\t ", "space.txt"),
    "a broken PDF": (pdf([["안녕"]])[:400], "broken.pdf"),
    "a PDF that is only a beginning": (b"%PDF-1.7\n", "start.pdf"),
    "a zip named .pdf": (archive({"a.txt": "가"}), "scan.pdf"),
    "a zip named .docx": (archive({"a.txt": "가"}), "text.docx"),
    "a DOCX full of laughs": (entities(), "laughs.docx"),
    "an image": (b"\x89PNG\r\n\x1a\n" + bytes(200), "image.png"),
    "bytes in no charset": (b"\xff\xff\x80 \xc0\xc1" * 50, "noise.txt"),
    "a PDF under lock": (pdf([["비밀"]], password="x"), "locked.pdf"),
    "a PDF without text": (pdf([[]]), "scan.pdf"),
}


@pytest.mark.parametrize("kind", BROKEN)
async def test_a_file_that_cannot_be_read_is_refused_and_leaves_nothing(
    caller: Caller, kind: str
) -> None:
    content, name = BROKEN[kind]
    found = await refused(caller.ingest("doc", content, filename=name))
    assert row(found) == FIELD
    assert found.fields == ("content",)
    assert "/" not in found.message.replace("DOC, XLS", "")
    assert not await caller.every_document()


async def test_a_file_that_cannot_be_read_leaves_the_former_version(caller: Caller) -> None:
    await caller.ingest("doc", "좋은 판본입니다.")
    await refused(caller.ingest("doc", b"%PDF-1.7\nbroken", filename="doc.pdf"))
    assert [passage.text for passage in await caller.passages("doc")] == ["좋은 판본입니다."]


async def test_korean_text_in_cp949_is_read(caller: Caller) -> None:
    await caller.ingest("doc", "똠방각하의 연차휴가는 열다섯 날이다.".encode("cp949"))
    [passage] = await caller.passages("doc")
    assert passage.text == "똠방각하의 연차휴가는 열다섯 날이다."


async def test_a_declared_type_that_the_content_contradicts_is_refused(caller: Caller) -> None:
    found = await refused(caller.ingest("doc", "그냥 글", media_type="application/pdf"))
    assert row(found) == FIELD


async def test_many_small_documents_at_once_are_all_there(caller: Caller) -> None:
    names = [f"note-{number:03}" for number in range(200)]
    done = await asyncio.gather(*(caller.ingest(name, f"쪽지 {name}") for name in names))
    assert {one.outcome for one in done} == {CREATED}
    assert sorted(await caller.every_document(page_size=64)) == names


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({f"k{number}": 1 for number in range(65)}, "document.metadata"),
        ({"한글": 1}, "document.metadata.한글"),
        ({"a b": 1}, "document.metadata.a b"),
        ({"k": "x" * 1001}, "document.metadata.k"),
        ({"k": None}, "document.metadata.k"),
        ({"k": {"deep": 1}}, "document.metadata.k"),
        ({"k": [["deep"]]}, "document.metadata.k"),
        ({"k": ["a", 1]}, "document.metadata.k"),
        ({"k": [True]}, "document.metadata.k"),
        ({"k": ["a"] * 101}, "document.metadata.k"),
        ({"k": float("inf")}, "document.metadata.k"),
    ],
)
async def test_metadata_that_cannot_be_is_refused(
    caller: Caller, metadata: dict[str, Any], field: str
) -> None:
    found = await refused(caller.ingest("doc", "본문", metadata=metadata))
    assert row(found) == FIELD
    assert field in found.fields


async def test_the_most_metadata_that_may_be_is_kept_and_comes_back(caller: Caller) -> None:
    most = {f"k{number}": ["가" * 100] * 10 for number in range(64)}
    await caller.ingest("doc", "본문", metadata=most)
    assert len((await caller.get("doc")).metadata) == 64
    assert (await caller.search("본문")).passages


@pytest.mark.parametrize("value", [-0.0, 1e308, 2**53, 0.1, "", "\u0000", [], [""], True])
async def test_every_value_that_may_be_comes_back_as_it_was(caller: Caller, value: Any) -> None:
    await caller.ingest("doc", "본문", metadata={"k": value})
    found = (await caller.get("doc")).metadata["k"]
    assert (list(found) if isinstance(value, list) else found) == value
    [hit] = (await caller.search("본문")).passages
    assert hit.passage.document_id == "doc"


@pytest.mark.parametrize(
    "token",
    ["x", "0", "../..", "가", "a" * 1025, "\u0000", "urn:uuid:" + "0" * 32, "{" + "0" * 32 + "}"],
)
async def test_a_page_token_that_is_not_ours_is_invalid(caller: Caller, token: str) -> None:
    await caller.ingest("doc", "본문")
    found = await refused(caller.documents(page_token=token))
    assert row(found) == FIELD
    assert found.fields == ("page_token",)


async def test_a_page_over_the_limit_is_invalid(caller: Caller) -> None:
    for call in (caller.documents(page_size=1001), caller.passages("doc", page_size=1001)):
        found = await refused(call)
        assert row(found) == FIELD
        assert found.fields == ("page_size",)


@pytest.mark.parametrize("first", [0, 1, 2**31, 2**32 - 1])
async def test_any_ordinal_may_be_asked_for(caller: Caller, first: int) -> None:
    await caller.ingest("doc", "본문")
    found = await caller.passages("doc", first_ordinal=first, page_size=1000)
    assert len(found) == (first == 0)


@pytest.mark.parametrize("name", [" x", "a" * 256, "a\nb", "a\u0000", "🙂", "<script>"])
async def test_a_document_id_that_cannot_be_is_refused(caller: Caller, name: str) -> None:
    found = await refused(caller.ingest(name, "본문"))
    assert row(found) == FIELD
    assert found.fields == ("document.document_id",)
    for call in (caller.get(name), caller.passages(name), caller.delete(name)):
        assert (await refused(call)).fields == ("document_id",)


@pytest.mark.parametrize("name", ["출장비-정산 안내(2026).md", "a/b:c@d.e_f", "x" * 255])
async def test_a_document_id_that_can_be_is_kept(caller: Caller, name: str) -> None:
    await caller.ingest(name, "본문")
    assert (await caller.get(name)).document_id == name
    assert await caller.delete(name) == 1


@pytest.mark.parametrize("name", ["Upper", "a b", "a/b", "x" * 65, "한글", "-a"])
async def test_a_collection_that_cannot_be_is_refused(caller: Caller, name: str) -> None:
    for call in (
        caller.ingest("doc", "본문", collection=name),
        caller.get("doc", collection=name),
        caller.documents(collection=name),
    ):
        assert (await refused(call)).fields == ("collection",)


async def test_a_document_over_the_limit_of_a_message_must_be_streamed(caller: Caller) -> None:
    found = await refused(caller.ingest("doc", b"x" * (2**20 + 1)))
    assert row(found) == TOO_LARGE
    assert found.retry_after is None


async def test_a_message_over_the_server_s_limit_is_too_large(caller: Caller) -> None:
    """gRPC itself refuses it before it is read, so that there are no details."""
    found = await refused(caller.ingest("doc", b"x" * (17 * 2**20)))
    assert found.code == "RESOURCE_EXHAUSTED"
    assert await caller.every_document() == []


async def test_headers_over_the_limit_are_refused(
    platform: Platform, channel: grpc.aio.Channel, tenant: str
) -> None:
    extra = [("x-large", "a" * 65_000)]
    heavy = Caller(channel, platform.token(tenant), extra=extra)
    found = await refused(heavy.capabilities())
    assert found.code == "RESOURCE_EXHAUSTED"
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
    found = await refused(caller.send(parts))
    assert row(found) == FIELD
    assert found.fields == (field,)
    assert not await caller.every_document()


async def test_an_upload_over_the_limit_is_too_large(caller: Caller) -> None:
    piece = documents.UploadDocumentRequest(content=b"x" * 2**20)
    found = await refused(caller.send([HEADER, *[piece] * 65]))
    assert row(found) == TOO_LARGE
    assert found.metadata["limit_bytes"] == str(64 * 2**20)
