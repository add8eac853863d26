"""The limits of every field, and what a request becomes where it keeps them."""

import unicodedata
from typing import Any

import pytest
from google.protobuf.message import Message

from rag.gateway.v1 import answer_service_pb2 as answer
from rag.gateway.v1 import document_service_pb2 as documents
from rag.gateway.v1 import options_pb2 as pb
from rag.types.v1.filter_pb2 import Filter
from rag.types.v1.passage_pb2 import Passage
from rag_contract import errors
from rag_gateway.answering.model import Retrieval
from rag_gateway.api.validation import parse
from rag_gateway.api.validation.validator import RequestValidator
from tests.support.document_ids import BAD, GOOD


def violations(request: Message) -> list[str]:
    """The fields of a request that are refused, by the path that its servicer takes."""
    checks = RequestValidator(request)
    if isinstance(request, answer.AnswerRequest):
        parse.retrieval(checks, request.retrieval, explain=False)
        parse.passages(checks, request.passages)
    try:
        checks.validate()
    except errors.InvalidArgument as error:
        return [violation.field for violation in error.violations]
    return []


def question(**fields: Any) -> answer.AnswerRequest:
    """A question that is good but for the fields given."""
    return answer.AnswerRequest(**{"query": "연차는?", **fields})


def ingest(collection: str = "", **document: Any) -> documents.IngestDocumentRequest:
    """A document that is good but for what is given."""
    spec = documents.DocumentSpec(**document)
    return documents.IngestDocumentRequest(collection=collection, document=spec, content=b"x")


def options(**options: Any) -> answer.AnswerRequest:
    """A question with these retrieval options."""
    return question(retrieval=pb.RetrievalOptions(**options))


def retrieval(**given: Any) -> Retrieval:
    """What retrieval options become."""
    request = options(**given)
    assert violations(request) == []
    return parse.retrieval(RequestValidator(request), request.retrieval, explain=True)


def document(name: str) -> documents.GetDocumentRequest:
    return documents.GetDocumentRequest(document_id=name)


def language(tag: str) -> answer.AnswerRequest:
    return question(generation=pb.GenerationOptions(language=tag))


def metadata(value: Any) -> documents.IngestDocumentRequest:
    """A document with this value in its metadata."""
    return ingest(metadata={"k": value})


# test_limits.py tests each field by its type and its limit, whatever number that is; here are numbers.
@pytest.mark.parametrize(
    ("request_", "field"),
    [
        *((question(query=query), "query") for query in ("", "  \n", "\u3000")),
        (options(candidates=9), "retrieval.candidates"),
        (options(top_k=20, candidates=19), "retrieval.candidates"),
        (options(candidates=1001), "retrieval.candidates"),
        (options(collections=["a"] * 65), "retrieval.collections"),
        (question(generation={"temperature": 2.1}), "generation.temperature"),
        (language("korean!"), "generation.language"),
        (language("k"), "generation.language"),
        (question(passages=[Passage(passage_id="a", text="x")] * 2), "passages"),
        (question(passages=[Passage(text="x")] * 51), "passages"),
        (question(passages=[Passage(text="x" * 20_001)]), "passages[0].text"),
        *(
            (ingest(name), "collection")
            for name in ("A", "-a", "_", "a b", "a/b", "가", "x" * 65, "a\n")
        ),
        *((document(name), "document_id") for name in ("", *BAD.values())),
        *(
            (metadata(value), "document.metadata.k")
            for value in (
                *(None, {"a": 1}, [[1]], [{"a": 1}], [None], [True], ["a", 1]),
                *(["x"] * 101, "x" * 1001, ["x" * 1001], float("nan"), float("inf")),
            )
        ),
        *((ingest(metadata={key: 1}), f"document.metadata.{key}") for key in ("a.b", "")),
        (ingest(uri="x" * 2001), "document.uri"),
        (ingest(metadata={f"k{n}": 1 for n in range(65)}), "document.metadata"),
        (ingest(metadata={"k" * 65: 1}), f"document.metadata.{'k' * 65}"),
    ],
)
def test_an_invalid_field_is_named(request_: Message, field: str) -> None:
    assert set(violations(request_)) == {field}


@pytest.mark.parametrize(
    "request_",
    [
        options(top_k=1, candidates=1),
        options(top_k=100),
        *map(language, ("", "ko", "en-US", "zh-Hant-TW")),
        *map(ingest, ("a", "0", "a-b_C9", "x" * 64, "")),
        *map(document, GOOD.values()),
        ingest(metadata={"k" * 64: 1}),
    ],
)
def test_a_valid_request_has_no_violations(request_: Message) -> None:
    assert violations(request_) == []


def test_a_query_is_brought_to_nfc_without_white_space_around_it() -> None:
    inputs = f"  {unicodedata.normalize('NFD', '연차는?')}\n"
    assert parse.query(inputs) == "연차는?"


def test_a_length_alone_has_an_error_of_its_own_and_among_others_it_has_not() -> None:
    with pytest.raises(errors.InputTooLong):
        RequestValidator(question(query="가" * 4001)).validate()
    wrong = question(query="가" * 4001, retrieval=pb.RetrievalOptions(collections=["No!"]))
    with pytest.raises(errors.FieldInvalid) as raised:
        RequestValidator(wrong).validate()
    assert raised.value.reason == "FIELD_INVALID"
    assert len(raised.value.violations) == 2


def test_options_have_defaults_and_unset_is_told_from_zero() -> None:
    result = retrieval()
    assert (result.top_k, result.dense, result.sparse) == (10, True, True)
    assert (result.fusion, result.min_score, result.filter) == ("posterior", None, None)
    assert result.explain
    assert retrieval(top_k=100).candidates >= 100
    assert (parse.page(0), parse.page(1000)) == (100, 1000)
    assert parse.collection("") == "default"
    assert parse.support(pb.GroundingOptions()).mode == "refuse"
    unset = parse.generation(pb.GenerationOptions())
    assert (unset.temperature, unset.seed, unset.max_output_tokens) == (None, None, None)
    zero = parse.generation(pb.GenerationOptions(temperature=0, seed=0))
    assert (zero.temperature, zero.seed) == (0, 0)


@pytest.mark.parametrize(
    ("mode", "lists"),
    [
        (pb.RETRIEVAL_MODE_DENSE, (True, False)),
        (pb.RETRIEVAL_MODE_SPARSE, (False, True)),
        (pb.RETRIEVAL_MODE_HYBRID, (True, True)),
    ],
)
def test_a_mode_says_which_lists_are_searched(mode: Any, lists: tuple[bool, bool]) -> None:
    result = retrieval(mode=mode)
    assert (result.dense, result.sparse) == lists


def test_options_keep_their_values_and_a_collection_named_twice_is_searched_once() -> None:
    result = retrieval(collections=["b", "a", "b"], filter=Filter())
    assert result.collections == ("b", "a")
    assert result.filter == Filter()
    assert parse.generation(pb.GenerationOptions(language="en-US")).language == "en-US"


def test_own_passages_get_ids_and_come_in_nfc() -> None:
    inputs = [Passage(passage_id="a", text="x"), Passage(text=unicodedata.normalize("NFD", "각"))]
    request = question(passages=inputs)
    result = parse.passages(RequestValidator(request), request.passages)
    assert [(item.passage_id, item.text) for item in result] == [("a", "x"), ("given-2", "각")]
    assert request.passages[1].passage_id == ""


def test_everything_wrong_with_a_document_is_said_at_once() -> None:
    wrong = ingest("No", document_id="..", title="x" * 501, metadata={"1": 1, "k": None})
    assert set(violations(wrong)) == {
        "collection",
        "document.document_id",
        "document.title",
        "document.metadata.1",
        "document.metadata.k",
    }


@pytest.mark.parametrize("value", ["x" * 1000, 1.5, True, ["a", "b"], [1, 2], [], ["x"] * 100])
def test_a_value_of_metadata_is_kept(value: Any) -> None:
    request = metadata(value)
    assert violations(request) == []
    assert parse.ingest_header("", request.document).metadata == {"k": value}


def test_texts_of_a_document_come_in_nfc() -> None:
    name = unicodedata.normalize("NFD", "각")
    request = ingest(
        document_id=name, title=name, filename=name, metadata={"k": name, "all": [name]}
    )
    assert violations(request) == []
    result = parse.ingest_header("", request.document)
    assert (result.document_id, result.title, result.filename) == ("각", "각", "각")
    assert result.metadata == {"k": "각", "all": ["각"]}
    assert parse.document_id(name) == "각"


def test_everything_wrong_with_a_filter_and_the_rest_is_said_at_once() -> None:
    wrong = Filter(
        must=[
            {"key": "$where", "number": {"min": 2, "max": 1}},
            {"key": "document_id", "number": {}},
            {"key": "k", "any_of": {"values": ["a" * 1001, "b", "c" * 1001]}},
        ],
        should=[{"key": "k"}, {"key": "t", "time": {"start": {"seconds": 5}, "before": {}}}],
        must_not=[{"key": "n", "number": {"min": float("nan"), "max": float("inf")}}],
    )
    request = question(query=" ", retrieval=pb.RetrievalOptions(top_k=0, filter=wrong))
    assert sorted(violations(request)) == [
        "query",
        "retrieval.filter.must[0].key",
        "retrieval.filter.must[0].number",
        "retrieval.filter.must[1]",
        "retrieval.filter.must[1].number",
        "retrieval.filter.must[2].any_of.values[0]",
        "retrieval.filter.must[2].any_of.values[2]",
        "retrieval.filter.must_not[0].number.max",
        "retrieval.filter.must_not[0].number.min",
        "retrieval.filter.should[0]",
        "retrieval.filter.should[1].time",
        "retrieval.top_k",
    ]
