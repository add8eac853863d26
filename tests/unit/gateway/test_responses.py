"""Results of the answering package as messages of the public API."""

import time
from dataclasses import replace

import pytest

from rag.gateway.v1 import answer_service_pb2 as pb
from rag_common.context import Call
from rag_common.timings import StageTimings
from rag_gateway.answering.model import Provenance
from rag_gateway.answering.service import AnswerResult, SearchResult
from rag_gateway.api import responses
from tests.support.gateway.fakes import scored, written

REGION = "kr-1"


@pytest.fixture
def call() -> Call:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    return Call(request_id="request-1", trace_id=trace_id, deadline=time.monotonic() + 5)


@pytest.fixture
def result() -> SearchResult:
    timings = StageTimings(seconds={"embed": 0.004, "search": 0.0025})
    provenance = Provenance(
        fingerprint="model-int8",
        index_version="41",
        query_terms=["연차"],
        degraded=["reranker"],
    )
    return SearchResult([scored("a"), scored("b")], timings, provenance)


def test_a_search_response_has_the_passages_in_order_and_the_ids_of_the_call(
    call: Call, result: SearchResult
) -> None:
    response = responses.search(result, call, REGION, explain=True)
    assert [one.passage.passage_id for one in response.passages] == ["a", "b"]
    assert list(response.query_terms) == ["연차"]
    assert (response.request_id, response.trace_id) == (call.request_id, call.trace_id)


def test_query_terms_are_left_out_unless_an_explanation_is_requested(
    call: Call, result: SearchResult
) -> None:
    assert not responses.search(result, call, REGION, explain=False).query_terms


def test_timings_keep_the_order_of_the_stages() -> None:
    stages = responses.timings({"search": 0.0025, "embed": 0.004})
    assert [one.stage for one in stages] == ["search", "embed"]
    assert [one.duration.ToMicroseconds() for one in stages] == [2500, 4000]


def test_provenance_names_what_was_used_and_what_was_unavailable(result: SearchResult) -> None:
    message = responses.provenance(result.provenance, REGION)
    assert message.embedding_fingerprint == "model-int8"
    assert message.region == REGION
    assert list(message.degraded) == ["reranker"]


def test_the_index_version_identifies_a_state_without_revealing_the_number_of_writes(
    result: SearchResult,
) -> None:
    versions = {}
    for version in ("41", "42"):
        result.provenance.index_version = version
        versions[version] = responses.provenance(result.provenance, REGION).index_version
    assert versions["41"] != versions["42"]
    assert all(len(value) == 16 for value in versions.values())
    result.provenance.index_version = ""
    assert responses.provenance(result.provenance, REGION).index_version == ""


def test_an_answer_response_has_the_text_its_sources_and_what_wrote_it(
    call: Call, result: SearchResult
) -> None:
    answered = AnswerResult(answer=written("15일 [1]", cut_short="LENGTH"), search=result)
    response = responses.answer(answered, call, REGION)
    assert (response.text, response.incomplete_reason) == ("15일 [1]", "LENGTH")
    assert [one.passage_id for one in response.citations] == ["a"]
    assert [one.passage.passage_id for one in response.references] == ["a", "b"]
    assert response.provenance.generation_model == "fake"
    assert response.provenance.prompt_version == "v1"
    assert response.confidence == pytest.approx(0.9)


def test_an_unknown_confidence_is_unset(call: Call, result: SearchResult) -> None:
    known = AnswerResult(answer=written(), search=result)
    unknown = replace(known, answer=replace(known.answer, confidence=None))
    assert responses.answer(known, call, REGION).HasField("confidence")
    assert not responses.answer(unknown, call, REGION).HasField("confidence")


def test_every_field_of_a_search_response_is_filled(call: Call, result: SearchResult) -> None:
    """A new field that no code fills is noticed here."""
    response = responses.search(result, call, REGION, explain=True)
    assert {field.name for field, _ in response.ListFields()} == {
        field.name for field in pb.SearchResponse.DESCRIPTOR.fields
    }
