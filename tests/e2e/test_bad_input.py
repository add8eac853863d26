"""What a caller can get wrong: each gives its row of the error contract, and breaks nothing."""

import unicodedata
from typing import Any

import grpc
import pytest

from rag.gateway.v1 import options_pb2 as options
from rag.types.v1.passage_pb2 import Passage
from tests.e2e.callers import FIELD, Caller, is_contract, refused, row
from tests.e2e.platform import Platform

LONG = ("INVALID_ARGUMENT", "INPUT_TOO_LONG")
FILTER = ("INVALID_ARGUMENT", "FILTER_INVALID")


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
    "no texts": ({"must": [{"key": "a", "any_of": {}}]}, "must[0].any_of.values"),
    "too many texts": (
        {"must": [{"key": "a", "any_of": {"values": ["x"] * 101}}]},
        "must[0].any_of.values",
    ),
    "no numbers": (
        {"must_not": [{"key": "a", "any_integer": {}}]},
        "must_not[0].any_integer.values",
    ),
    "a range without a bound": ({"must": [{"key": "a", "number": {}}]}, "must[0].number"),
    "a range of nothing": (
        {"must": [{"key": "a", **TEXT}, {"key": "a", "number": {"min": 2, "max": 1}}]},
        "must[1].number",
    ),
    "a bound that is no number": (
        {"must": [{"key": "a", "number": {"min": float("nan")}}]},
        "must[0].number.min",
    ),
    "a time without a bound": ({"must": [{"key": "a", "time": {}}]}, "must[0].time"),
    "a time that ends first": (
        {"must": [{"key": "a", "time": {"start": {"seconds": 2}, "before": {"seconds": 1}}}]},
        "must[0].time",
    ),
    "a time out of this world": (
        {"must": [{"key": "a", "time": {"start": {"seconds": 2**62}}}]},
        "must[0].time.start",
    ),
    "a number for a document's id": (
        {"must": [{"key": "document_id", "number": {"min": 1}}]},
        "must[0]",
    ),
    "too many conditions": ({"must": [{"key": "a", **TEXT}] * 65}, "must"),
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
