"""What a caller can get wrong: each gives its row of the error contract, and breaks nothing."""

import unicodedata
from typing import Any

import pytest

from rag.gateway.v1 import options_pb2 as options
from rag.types.v1.passage_pb2 import Passage
from tests.e2e.callers import FIELD, Caller, is_contract, refused, row

LONG = ("INVALID_ARGUMENT", "INPUT_TOO_LONG")
FILTER = ("INVALID_ARGUMENT", "FILTER_INVALID")
# Each limit of a field is tried in tests/unit/gateway, each rule of a filter in tests/unit/retriever.
WRONG: dict[str, tuple[dict[str, Any], tuple[str, str], str]] = {
    "an empty query": ({"query": " \u3000"}, FIELD, "query"),
    "a long query": ({"query": "가" * 4001}, LONG, "query"),
    "an option out of range": (
        {"retrieval": options.RetrievalOptions(top_k=101)},
        FIELD,
        "retrieval.top_k",
    ),
    "an invalid filter": (
        {"retrieval": options.RetrievalOptions(filter={"must": [{"key": "a", "number": {}}]})},
        FILTER,
        "retrieval.filter.must[0].number",
    ),
}


@pytest.mark.parametrize("method", ["ask", "events", "search"])
@pytest.mark.parametrize("kind", WRONG)
async def test_an_invalid_request_is_refused_with_its_field(
    caller: Caller, method: str, kind: str
) -> None:
    fields, expected, field = WRONG[kind]
    refusal = await refused(getattr(caller, method)(**{"query": "연차", **fields}))
    assert row(refusal) == expected
    assert refusal.fields == (field,)


@pytest.mark.parametrize(
    "query",
    ["?!…", "🙂" * 50, "\u0000", "ﷺ" * 4000, "e\u0301" * 2000],
)
async def test_a_strange_query_is_answered(caller: Caller, query: str) -> None:
    await caller.ingest("doc", "본문 하나입니다.")
    await caller.search(query)
    await caller.ask(query)
    assert (await caller.events(query))[-1].WhichOneof("event") == "completed"


async def test_an_unknown_collection_is_not_found(caller: Caller) -> None:
    await caller.ingest("doc", "본문")
    how = options.RetrievalOptions(collections=["default", "nowhere"])
    for call in (caller.search("본문", retrieval=how), caller.events("본문", retrieval=how)):
        refusal = await refused(call)
        assert row(refusal) == ("NOT_FOUND", "COLLECTION_NOT_FOUND")
        assert refusal.metadata["collection"] == "nowhere"


async def test_a_query_in_nfd_is_the_query_in_nfc(reader: Caller) -> None:
    query = "출장비 정산서는 언제까지 제출해야 하나요?"
    composed, decomposed = (unicodedata.normalize(form, query) for form in ("NFC", "NFD"))
    assert composed != decomposed
    result = [await reader.search(text) for text in (composed, decomposed)]
    assert list(result[0].passages) == list(result[1].passages)
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
    [result] = (await caller.search("연차", retrieval=how)).passages
    assert result.passage.title == "인사팀"
    assert result.passage.text == "인사팀의 연차 안내"


async def test_a_passage_of_the_caller_s_in_nfd_is_cited_where_it_stands(caller: Caller) -> None:
    text = unicodedata.normalize("NFD", "우리 사무실은 아침 아홉 시에 문을 엽니다.")
    inputs = Passage(passage_id="a", text=text)
    reply = await caller.ask("사무실은 몇 시에 문을 여나요?", passages=[inputs])
    [shown] = [item.passage for item in reply.references]
    assert reply.citations
    for citation in reply.citations:
        assert citation.quote == shown.text[citation.quote_start : citation.quote_end]


async def test_every_refusal_is_of_the_contract_and_names_the_trace(caller: Caller) -> None:
    for call in (
        caller.search(""),
        caller.ask("x" * 5000),
        caller.get("unknown"),
        caller.ingest("doc", b""),
        caller.ingest("doc", b"x" * (2**20 + 1)),
    ):
        result = await refused(call)
        assert is_contract(result)
        assert len(result.trace_id) == 32
        assert result.request_id
