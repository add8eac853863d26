"""What a caller can get wrong: each gives its row of the error contract, and breaks nothing."""

import asyncio
import unicodedata
from typing import Any

import grpc
import pytest

from rag.gateway.v1 import document_service_pb2 as documents
from rag.gateway.v1 import options_pb2 as options
from rag.types.v1.passage_pb2 import Passage
from tests.e2e.callers import CREATED, Caller, Refusal, is_contract, refused
from tests.e2e.platform import Platform
from tests.retriever.documents import archive, entities, pdf

FIELD = ("INVALID_ARGUMENT", "FIELD_INVALID")
LONG = ("INVALID_ARGUMENT", "INPUT_TOO_LONG")
FILTER = ("INVALID_ARGUMENT", "FILTER_INVALID")
TOO_LARGE = ("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE")


def row(found: Refusal) -> tuple[str, str]:
    return found.code, found.reason


@pytest.mark.parametrize("query", ["", " \t\n", "\u3000"])
@pytest.mark.parametrize("method", ["ask", "events", "search"])
async def test_an_empty_query_is_invalid(caller: Caller, method: str, query: str) -> None:
    found = await refused(getattr(caller, method)(query))
    assert row(found) == FIELD
    assert found.fields == ("query",)


@pytest.mark.parametrize("query", ["가" * 4001, "x" * 2**20])
@pytest.mark.parametrize("method", ["ask", "events", "search"])
async def test_a_query_over_the_limit_is_too_long(caller: Caller, method: str, query: str) -> None:
    found = await refused(getattr(caller, method)(query))
    assert row(found) == LONG
    assert found.fields == ("query",)


@pytest.mark.parametrize(
    "query",
    ["가" * 4000, "a " * 1999, "?!…", "🙂" * 50, "\u0000", "\u200b", "ﷺ" * 4000, "e\u0301" * 2000],
)
async def test_a_strange_query_is_answered(caller: Caller, query: str) -> None:
    await caller.ingest("doc", "본문 하나입니다.")
    await caller.search(query)
    await caller.ask(query)
    assert (await caller.events(query))[-1].WhichOneof("event") == "completed"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"top_k": 0}, "retrieval.top_k"),
        ({"top_k": 101}, "retrieval.top_k"),
        ({"top_k": 2**32 - 1}, "retrieval.top_k"),
        ({"candidates": 5, "top_k": 6}, "retrieval.candidates"),
        ({"candidates": 1001}, "retrieval.candidates"),
        ({"min_score": float("nan")}, "retrieval.min_score"),
        ({"mode": 77}, "retrieval.mode"),
        ({"fusion": 77}, "retrieval.fusion"),
        ({"collections": [""]}, "retrieval.collections[0]"),
        ({"collections": ["ok", "no good"]}, "retrieval.collections[1]"),
    ],
)
async def test_an_option_out_of_range_is_named(
    caller: Caller, given: dict[str, Any], field: str
) -> None:
    found = await refused(caller.search("연차", retrieval=options.RetrievalOptions(**given)))
    assert row(found) == FIELD
    assert field in found.fields


async def test_a_negative_top_k_does_not_fit_into_a_message() -> None:
    with pytest.raises(ValueError, match="-1"):
        options.RetrievalOptions(top_k=-1)


async def test_everything_wrong_is_said_at_once(caller: Caller) -> None:
    found = await refused(
        caller.ask(
            "",
            retrieval=options.RetrievalOptions(top_k=0),
            generation=options.GenerationOptions(temperature=9, language="한국어"),
            grounding=options.GroundingOptions(min_score=2),
        )
    )
    assert set(found.fields) == {
        "query",
        "retrieval.top_k",
        "generation.temperature",
        "generation.language",
        "grounding.min_score",
    }


async def test_an_unknown_collection_is_not_found(caller: Caller) -> None:
    await caller.ingest("doc", "본문")
    how = options.RetrievalOptions(collections=["nowhere"])
    for call in (caller.search("본문", retrieval=how), caller.ask("본문", retrieval=how)):
        found = await refused(call)
        assert row(found) == ("NOT_FOUND", "COLLECTION_NOT_FOUND")
        assert found.metadata["collection"] == "nowhere"


TEXT = {"any_of": {"values": ["x"]}}
FILTERS: dict[str, tuple[dict[str, Any], str]] = {
    "a key that cannot be": ({"must": [{"key": "1x", **TEXT}]}, "must[0].key"),
    "no key": ({"must": [TEXT]}, "must[0].key"),
    "no test": ({"should": [{"key": "team"}]}, "should[0]"),
    "no texts": ({"must": [{"key": "a", "any_of": {}}]}, "must[0].any_of"),
    "too many texts": (
        {"must": [{"key": "a", "any_of": {"values": ["x"] * 101}}]},
        "must[0].any_of",
    ),
    "no numbers": ({"must_not": [{"key": "a", "any_integer": {}}]}, "must_not[0].any_integer"),
    "a range without a bound": ({"must": [{"key": "a", "number": {}}]}, "must[0].number"),
    "a range of nothing": (
        {"must": [{"key": "a", **TEXT}, {"key": "a", "number": {"min": 2, "max": 1}}]},
        "must[1].number",
    ),
    "a bound that is no number": (
        {"must": [{"key": "a", "number": {"min": float("nan")}}]},
        "must[0].number",
    ),
    "a time without a bound": ({"must": [{"key": "a", "time": {}}]}, "must[0].time"),
    "a time that ends first": (
        {"must": [{"key": "a", "time": {"start": {"seconds": 2}, "before": {"seconds": 1}}}]},
        "must[0].time",
    ),
    "a time out of this world": (
        {"must": [{"key": "a", "time": {"start": {"seconds": 2**62}}}]},
        "must[0].time",
    ),
    "a number for a document's id": (
        {"must": [{"key": "document_id", "number": {"min": 1}}]},
        "must[0]",
    ),
    "too many conditions": ({"must": [{"key": "a", **TEXT}] * 65}, ""),
}


@pytest.mark.parametrize("kind", FILTERS)
async def test_an_invalid_filter_is_refused_with_the_path_of_the_field(
    caller: Caller, kind: str
) -> None:
    given, path = FILTERS[kind]
    found = await refused(caller.search("연차", retrieval=options.RetrievalOptions(filter=given)))
    assert row(found) == FILTER
    assert found.fields == (f"retrieval.filter.{path}".rstrip("."),)


async def test_a_query_in_nfd_is_the_query_in_nfc(reader: Caller) -> None:
    query = "출장비 정산서는 언제까지 제출해야 하나요?"
    composed, decomposed = (unicodedata.normalize(form, query) for form in ("NFC", "NFD"))
    assert composed != decomposed
    found = [await reader.search(text) for text in (composed, decomposed)]
    assert list(found[0].passages) == list(found[1].passages)
    answered = [await reader.ask(text) for text in (composed, decomposed)]
    assert answered[0].text == answered[1].text
    assert answered[0].citations


async def test_what_stands_in_nfd_is_found_and_filtered_in_nfc(caller: Caller) -> None:
    """A Mac sends names in NFD; whoever searches types NFC."""
    nfd = unicodedata.normalize("NFD", "인사팀")
    await caller.ingest("doc", f"{nfd}의 연차 안내", title=nfd, metadata={"team": nfd})
    how = options.RetrievalOptions(
        filter={"must": [{"key": "team", "any_of": {"values": ["인사팀"]}}]}
    )
    [found] = (await caller.search("연차", retrieval=how)).passages
    assert found.passage.title == "인사팀"
    assert found.passage.text == "인사팀의 연차 안내"


async def test_a_passage_of_the_caller_s_in_nfd_is_cited_where_it_stands(caller: Caller) -> None:
    text = unicodedata.normalize("NFD", "우리 사무실은 아침 아홉 시에 문을 엽니다.")
    given = Passage(passage_id="a", text=text)
    reply = await caller.ask("사무실은 몇 시에 문을 여나요?", passages=[given])
    [shown] = [item.passage for item in reply.references]
    assert reply.citations
    for citation in reply.citations:
        assert citation.quote == shown.text[citation.quote_start : citation.quote_end]


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


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ([Passage(text="")], "passages[0].text"),
        ([Passage(text="x" * 20_001)], "passages[0].text"),
        ([Passage(passage_id="a", text="x"), Passage(passage_id="a", text="y")], "passages"),
        ([Passage(text="x")] * 51, "passages"),
    ],
)
async def test_own_passages_that_cannot_be_are_refused(
    caller: Caller, given: list[Passage], field: str
) -> None:
    for call in (caller.ask("질문", passages=given), caller.check("본문", given)):
        found = await refused(call)
        assert found.code == "INVALID_ARGUMENT"
        assert field in found.fields


async def test_a_text_to_check_must_be_there_and_have_passages(caller: Caller) -> None:
    assert (await refused(caller.check("", [Passage(text="x")]))).fields == ("text",)
    assert (await refused(caller.check("x", []))).fields == ("passages",)
    assert row(await refused(caller.check("x" * 20_001, [Passage(text="x")]))) == LONG


async def test_an_error_speaks_the_caller_s_language(
    platform: Platform, channel: grpc.aio.Channel, tenant: str
) -> None:
    from google.rpc import error_details_pb2 as details
    from google.rpc.status_pb2 import Status

    token = platform.token(tenant)
    for language, locale in (("ko-KR,ko;q=0.9", "ko-KR"), ("fr", "en-US"), ("", "en-US")):
        speaker = Caller(channel, token, extra=[("accept-language", language)])
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await speaker.search("")
        trailers = dict(raised.value.trailing_metadata())
        status = Status.FromString(trailers["grpc-status-details-bin"])
        message = details.LocalizedMessage()
        assert any(detail.Unpack(message) for detail in status.details)
        assert message.locale == locale


@pytest.mark.parametrize("path", ["Search", "Answer", "CheckGrounding"])
@pytest.mark.parametrize(
    "junk", [b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x02\xff\xfe", bytes(64)]
)
async def test_bytes_that_are_no_message_are_refused(
    caller: Caller, path: str, junk: bytes
) -> None:
    """gRPC reads the message before any code of ours runs, so that there are no details."""
    call = caller.channel.unary_unary(f"/rag.gateway.v1.AnswerService/{path}")
    found = await refused(call(junk, metadata=caller.metadata, timeout=30))
    assert found.code in ("INVALID_ARGUMENT", "INTERNAL", "UNKNOWN")
    assert "Traceback" not in found.message
    await caller.capabilities()


async def test_every_refusal_is_of_the_contract_and_names_the_trace(caller: Caller) -> None:
    for call in (
        caller.search(""),
        caller.ask("x" * 5000),
        caller.get("unknown"),
        caller.ingest("doc", b""),
        caller.ingest("doc", b"x" * (2**20 + 1)),
    ):
        found = await refused(call)
        assert is_contract(found)
        assert len(found.trace_id) == 32
        assert found.request_id
