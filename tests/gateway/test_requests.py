"""The limits of every field, and what a request becomes where it keeps them."""

import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct

from rag.gateway.v1 import document_service_pb2 as documents
from rag.gateway.v1 import options_pb2 as pb
from rag.types.v1.filter_pb2 import Filter
from rag.types.v1.passage_pb2 import Passage
from rag_common import errors
from rag_gateway import requests
from rag_gateway.requests import Checks


def violations(check: Callable[[Checks], Any]) -> list[str]:
    """The fields that a check finds wrong."""
    checks = Checks()
    check(checks)
    try:
        checks.done()
    except errors.InvalidArgument as error:
        return [violation.field for violation in error.violations]
    return []


def taken(check: Callable[[Checks], Any]) -> Any:
    """What a check makes of a good request."""
    checks = Checks()
    found = check(checks)
    checks.done()
    return found


def test_a_query_is_brought_to_nfc_without_white_space_around_it() -> None:
    given = f"  {unicodedata.normalize('NFD', '연차는?')}\n"
    assert taken(lambda checks: requests.query(checks, given)) == "연차는?"


@pytest.mark.parametrize("query", ["", "  \n", "\u3000"])
def test_an_empty_query_is_wrong(query: str) -> None:
    assert violations(lambda checks: requests.query(checks, query)) == ["query"]


def test_a_query_may_have_4000_characters_and_no_more() -> None:
    assert violations(lambda checks: requests.query(checks, "가" * 4000)) == []
    checks = Checks()
    requests.query(checks, "가" * 4001)
    with pytest.raises(errors.InputTooLong):
        checks.done()


def test_a_length_among_other_faults_is_an_invalid_argument() -> None:
    checks = Checks()
    requests.query(checks, "가" * 4001)
    requests.collection(checks, "No!")
    with pytest.raises(errors.InvalidArgument) as raised:
        checks.done()
    assert raised.value.reason == "FIELD_INVALID"
    assert len(raised.value.violations) == 2


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"top_k": 0}, "top_k"),
        ({"top_k": 101}, "top_k"),
        ({"candidates": 9}, "candidates"),
        ({"candidates": 1001}, "candidates"),
        ({"top_k": 20, "candidates": 19}, "candidates"),
        ({"mode": 9}, "mode"),
        ({"fusion": 9}, "fusion"),
        ({"min_score": float("nan")}, "min_score"),
        ({"min_score": float("inf")}, "min_score"),
        ({"min_score": 1e7}, "min_score"),
        ({"collections": ["a"] * 65}, "collections"),
        ({"collections": ["Bad"]}, "collections[0]"),
    ],
)
def test_each_retrieval_option_has_a_limit(options: dict[str, Any], field: str) -> None:
    given = pb.RetrievalOptions(**options)
    found = violations(lambda checks: requests.retrieval(checks, given, explain=False))
    assert found == [f"retrieval.{field}"]


@pytest.mark.parametrize(
    "options",
    [{"top_k": 1, "candidates": 1}, {"top_k": 100}, {"candidates": 1000}, {"min_score": -1e6}],
)
def test_the_limits_themselves_are_good(options: dict[str, Any]) -> None:
    given = pb.RetrievalOptions(**options)
    assert violations(lambda checks: requests.retrieval(checks, given, explain=False)) == []


def test_retrieval_has_defaults() -> None:
    found = taken(lambda checks: requests.retrieval(checks, pb.RetrievalOptions(), explain=True))
    assert (found.top_k, found.dense, found.sparse) == (10, True, True)
    assert (found.fusion, found.min_score, found.filter) == ("posterior", None, None)
    assert found.explain


def test_candidates_are_never_fewer_than_the_passages_wanted() -> None:
    given = pb.RetrievalOptions(top_k=100)
    found = taken(lambda checks: requests.retrieval(checks, given, explain=False))
    assert found.candidates >= 100


@pytest.mark.parametrize(
    ("mode", "lists"),
    [
        (pb.RETRIEVAL_MODE_DENSE, (True, False)),
        (pb.RETRIEVAL_MODE_SPARSE, (False, True)),
        (pb.RETRIEVAL_MODE_HYBRID, (True, True)),
    ],
)
def test_a_mode_says_which_lists_are_searched(mode: Any, lists: tuple[bool, bool]) -> None:
    given = pb.RetrievalOptions(mode=mode)
    found = taken(lambda checks: requests.retrieval(checks, given, explain=False))
    assert (found.dense, found.sparse) == lists


def test_a_collection_named_twice_is_searched_once() -> None:
    given = pb.RetrievalOptions(collections=["b", "a", "b"], filter=Filter())
    found = taken(lambda checks: requests.retrieval(checks, given, explain=False))
    assert found.collections == ("b", "a")
    assert found.filter == Filter()


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": 4097}, "max_output_tokens"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"model": "x" * 129}, "model"),
        ({"language": "korean!"}, "language"),
        ({"language": "k"}, "language"),
    ],
)
def test_each_generation_option_has_a_limit(options: dict[str, Any], field: str) -> None:
    given = pb.GenerationOptions(**options)
    assert violations(lambda checks: requests.generation(checks, given)) == [f"generation.{field}"]


def test_unset_options_are_told_from_zero() -> None:
    unset = taken(lambda checks: requests.generation(checks, pb.GenerationOptions()))
    assert (unset.temperature, unset.seed, unset.max_output_tokens) == (None, None, None)
    given = pb.GenerationOptions(temperature=0, seed=0)
    zero = taken(lambda checks: requests.generation(checks, given))
    assert (zero.temperature, zero.seed) == (0, 0)


@pytest.mark.parametrize("language", ["", "ko", "en-US", "zh-Hant-TW"])
def test_a_language_is_a_bcp_47_tag(language: str) -> None:
    given = pb.GenerationOptions(language=language)
    assert taken(lambda checks: requests.generation(checks, given)).language == language


@pytest.mark.parametrize("options", [{"mode": 9}, {"min_score": 1.1}, {"min_score": -0.1}])
def test_each_grounding_option_has_a_limit(options: dict[str, Any]) -> None:
    given = pb.GroundingOptions(**options)
    [field] = options
    assert violations(lambda checks: requests.support(checks, given)) == [f"grounding.{field}"]


def test_an_unsupported_answer_is_refused_where_nothing_is_said() -> None:
    assert taken(lambda checks: requests.support(checks, pb.GroundingOptions())).mode == "refuse"


def test_own_passages_get_ids_and_come_in_nfc() -> None:
    given = [Passage(passage_id="a", text="x"), Passage(text=unicodedata.normalize("NFD", "각"))]
    found = taken(lambda checks: requests.passages(checks, given))
    assert [(item.passage_id, item.text) for item in found] == [("a", "x"), ("given-2", "각")]
    assert given[1].passage_id == ""


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ([Passage(text=" ")], "passages[0].text"),
        ([Passage(text="a"), Passage(text="x" * 20_001)], "passages[1].text"),
        ([Passage(passage_id="a", text="x")] * 2, "passages"),
        ([Passage(text="x")] * 51, "passages"),
    ],
)
def test_own_passages_have_limits(given: list[Passage], field: str) -> None:
    assert violations(lambda checks: requests.passages(checks, given)) == [field]


@pytest.mark.parametrize("name", ["a", "0", "a-b_C9", "x" * 64, ""])
def test_a_collection_that_can_be(name: str) -> None:
    found = taken(lambda checks: requests.collection(checks, name))
    assert found == (name or "default")


@pytest.mark.parametrize("name", ["A", "-a", "_", "a b", "a/b", "가", "x" * 65, "a\n"])
def test_a_collection_that_cannot_be(name: str) -> None:
    assert violations(lambda checks: requests.collection(checks, name)) == ["collection"]


@pytest.mark.parametrize("name", ["a", "규정/휴가 (2026).pdf", "a:b@c.d_e-f", "x" * 255])
def test_a_document_id_that_can_be(name: str) -> None:
    assert taken(lambda checks: requests.document_id(checks, name)) == name


def test_a_document_id_in_nfd_is_the_one_in_nfc() -> None:
    given = unicodedata.normalize("NFD", "규정.pdf")
    assert taken(lambda checks: requests.document_id(checks, given)) == "규정.pdf"


@pytest.mark.parametrize("name", ["", " a", "(a", "x" * 256, "a\tb", "a\n", "é", "a<b"])
def test_a_document_id_that_cannot_be(name: str) -> None:
    assert violations(lambda checks: requests.document_id(checks, name)) == ["document_id"]


def test_a_page_has_100_entries_where_none_are_asked_for_and_at_most_1000() -> None:
    assert taken(lambda checks: requests.page(checks, 0)) == 100
    assert taken(lambda checks: requests.page(checks, 1000)) == 1000
    assert violations(lambda checks: requests.page(checks, 1001)) == ["page_size"]
    assert violations(lambda checks: requests.page(checks, 1, "x" * 1025)) == ["page_token"]


def spec(**fields: Any) -> documents.DocumentSpec:
    return documents.DocumentSpec(**fields)


@pytest.mark.parametrize(
    ("field", "most"), [("title", 500), ("uri", 2000), ("filename", 500), ("media_type", 200)]
)
def test_each_fact_of_a_document_has_a_length(field: str, most: int) -> None:
    assert violations(lambda checks: requests.spec(checks, "", spec(**{field: "x" * most}))) == []
    long = spec(**{field: "x" * (most + 1)})
    assert violations(lambda checks: requests.spec(checks, "", long)) == [f"document.{field}"]


def test_everything_wrong_with_a_document_is_said_at_once() -> None:
    given = spec(document_id="<", title="x" * 501, metadata={"1": 1, "k": None})
    found = violations(lambda checks: requests.spec(checks, "No", given))
    assert set(found) == {
        "collection",
        "document.document_id",
        "document.title",
        "document.metadata.1",
        "document.metadata.k",
    }


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"a": 1},
        [[1]],
        [{"a": 1}],
        [None],
        [True],
        ["a", 1],
        ["x"] * 101,
        "x" * 1001,
        ["x" * 1001],
    ],
)
def test_a_value_of_metadata_that_cannot_be(value: Any) -> None:
    given = spec(metadata={"k": value})
    assert "document.metadata.k" in violations(lambda checks: requests.spec(checks, "", given))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_cannot_be(value: float) -> None:
    metadata = Struct()
    metadata.fields["k"].number_value = value
    given = spec(metadata=metadata)
    assert violations(lambda checks: requests.spec(checks, "", given)) == ["document.metadata.k"]


@pytest.mark.parametrize("value", ["x" * 1000, 1.5, True, ["a", "b"], [1, 2], [], ["x"] * 100])
def test_a_value_of_metadata_that_can_be(value: Any) -> None:
    found = taken(lambda checks: requests.spec(checks, "", spec(metadata={"k": value})))
    assert found.metadata == {"k": value}


def test_metadata_has_at_most_64_keys_of_at_most_64_characters() -> None:
    for metadata, fits in (
        ({f"k{number}": 1 for number in range(64)}, True),
        ({f"k{number}": 1 for number in range(65)}, False),
        ({"k" * 64: 1}, True),
        ({"k" * 65: 1}, False),
        ({"a.b": 1}, False),
        ({"": 1}, False),
    ):
        given = spec(metadata=metadata)
        found = violations(lambda checks, given=given: requests.spec(checks, "", given))
        assert (found == []) is fits


def test_texts_of_a_document_come_in_nfc() -> None:
    name = unicodedata.normalize("NFD", "각")
    given = spec(document_id=name, title=name, filename=name, metadata={"k": name, "all": [name]})
    found = taken(lambda checks: requests.spec(checks, "", given))
    assert (found.document_id, found.title, found.filename) == ("각", "각", "각")
    assert found.metadata == {"k": "각", "all": ["각"]}
