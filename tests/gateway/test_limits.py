"""Every field of every public request has a declared limit, and every limit holds."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from rag.gateway.v1 import access_service_pb2, answer_service_pb2, document_service_pb2
from rag_common import errors
from rag_gateway.requests import LIMITS, Checks
from rag_gateway.requests.facts import Facts
from rag_gateway.requests.forms import COLLECTION, DOCUMENT_ID, ID, LANGUAGE, METADATA_KEY
from rag_gateway.requests.nested import Nested
from rag_gateway.requests.rules import (
    Choice,
    Content,
    Flag,
    Many,
    Number,
    Rule,
    Text,
)
from rag_gateway.requests.times import Lifetime, Moment

REQUESTS: dict[str, Descriptor] = {
    method.input_type.full_name: method.input_type
    for file in (access_service_pb2, answer_service_pb2, document_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
KINDS: dict[int, type[Any]] = {
    FieldDescriptor.CPPTYPE_STRING: Text,
    FieldDescriptor.CPPTYPE_INT32: Number,
    FieldDescriptor.CPPTYPE_INT64: Number,
    FieldDescriptor.CPPTYPE_UINT32: Number,
    FieldDescriptor.CPPTYPE_UINT64: Number,
    FieldDescriptor.CPPTYPE_DOUBLE: Number,
    FieldDescriptor.CPPTYPE_FLOAT: Number,
    FieldDescriptor.CPPTYPE_BOOL: Flag,
    FieldDescriptor.CPPTYPE_ENUM: Choice,
    FieldDescriptor.CPPTYPE_MESSAGE: Nested,
}
WELL_KNOWN: dict[str, type[Any]] = {
    "google.protobuf.Struct": Facts,
    "google.protobuf.Duration": Lifetime,
    "google.protobuf.Timestamp": Moment,
}
# Texts that the forms let through, as long as they are wanted.
EXAMPLES = {LANGUAGE: "en-US", COLLECTION: "a", DOCUMENT_ID: "a", ID: "a", METADATA_KEY: "a"}

Place = tuple[Descriptor, tuple[FieldDescriptor, ...], Rule]


def kind(field: FieldDescriptor) -> type[Any]:
    """The kind of limit that a field of this type has."""
    if field.type == FieldDescriptor.TYPE_BYTES:
        return Content
    if field.message_type and field.message_type.full_name in WELL_KNOWN:
        return WELL_KNOWN[field.message_type.full_name]
    return KINDS[field.cpp_type]


def places(root: Descriptor) -> Iterator[Place]:
    """Every field of a request with its rule, at any depth."""
    return _below(root, root, (), LIMITS[root.full_name])


def _below(
    root: Descriptor, message: Descriptor, above: tuple[FieldDescriptor, ...], limits: Nested
) -> Iterator[Place]:
    for field in message.fields:
        rule = limits.fields.get(field.name)
        if rule is None:
            continue  # told by name in test_the_table_names_every_field_and_no_other
        yield root, (*above, field), rule
        inner = rule.each if isinstance(rule, Many) else rule
        if isinstance(inner, Nested) and field.message_type:
            yield from _below(root, field.message_type, (*above, field), inner)


PLACES = [place for request in REQUESTS.values() for place in places(request)]
NAMES = [f"{root.name}.{'.'.join(field.name for field in fields)}" for root, fields, _ in PLACES]


def test_every_public_request_and_nothing_else_is_in_the_table() -> None:
    assert set(LIMITS) == set(REQUESTS)


def test_the_table_names_every_field_and_no_other() -> None:
    for root in REQUESTS.values():
        assert _names(root, LIMITS[root.full_name])


def _names(message: Descriptor, limits: Nested) -> bool:
    assert set(limits.fields) == {field.name for field in message.fields}, message.full_name
    for field in message.fields:
        rule = limits.fields[field.name]
        inner = rule.each if isinstance(rule, Many) else rule
        if isinstance(inner, Nested) and field.message_type:
            _names(field.message_type, inner)
    return True


@pytest.mark.parametrize("place", PLACES, ids=NAMES)
def test_a_field_has_the_kind_of_limit_that_its_type_asks_for(place: Place) -> None:
    _, fields, rule = place
    if fields[-1].is_repeated:
        assert isinstance(rule, Many)
        rule = rule.each
    assert isinstance(rule, kind(fields[-1]))


def over(rule: Rule) -> list[Any]:
    """Values beyond a limit; none where every value of the type is within it."""
    match rule:
        case Text():
            return [
                "a" * (rule.most + 1),
                *(["\x00"] if rule.form else []),
                *([" "] * rule.required),
            ]
        case Number():
            beyond = [rule.least - abs(rule.least) - 1, rule.most + abs(rule.most) + 1]
            return [*beyond, float("nan"), float("inf"), float("-inf")]
        case Choice():
            return [77, -1]
        case Content():
            return [bytes(rule.most + 1)] if isinstance(rule.most, int) else []
        case Facts():
            return [{f"k{n}": 1 for n in range(rule.keys + 1)}, {"$where": "x"}, {"k": None}]
        case Lifetime():
            return [{"seconds": rule.least - 1}, {"seconds": rule.most + 1}, {"nanos": -1}]
        case Moment():
            return [{"seconds": 2**62}, {"seconds": 1, "nanos": -1}]
        case _:
            return []


def within(rule: Rule) -> list[Any]:
    """Values at the limit, which are let through."""
    match rule:
        case Text() if rule.form in EXAMPLES:
            return [EXAMPLES[rule.form]]
        case Text():
            return ["a" * rule.most, "가" * rule.most]
        case Number():
            return [rule.least, rule.most]
        case Choice():
            return list(rule.enum.values_by_number)
        case Content():
            return [bytes(rule.most)] if isinstance(rule.most, int) else [b"x"]
        case Facts():
            return [{f"k{n}": ["x" * rule.characters] for n in range(rule.keys)}]
        case Lifetime():
            return [{"seconds": rule.least}, {"seconds": rule.most}]
        case Moment():
            return [{"seconds": -62_135_596_800}, {"seconds": 253_402_300_799}]
        case _:
            return []


def sent(place: Place, value: Any) -> Message | None:
    """A request with that value in that place; None where the field's type cannot hold it."""
    root, (*above, field), _ = place
    request: Message = GetMessageClass(root)()
    target: Any = request
    for outer in above:
        inner = getattr(target, outer.name)
        target = inner.add() if outer.is_repeated else inner
        target.SetInParent()
    try:
        _put(target, field, value)
    except (ValueError, TypeError, OverflowError):
        return None
    return request


def _put(target: Any, field: FieldDescriptor, value: Any) -> None:
    if isinstance(value, dict) and kind(field) is Facts:
        getattr(target, field.name).update(value)
    elif isinstance(value, dict):
        message = getattr(target, field.name)
        for name, part in value.items():
            setattr(message, name, part)
    elif field.is_repeated:
        getattr(target, field.name).append(value)
    else:
        setattr(target, field.name, value)


def path(place: Place) -> str:
    _, fields, _ = place
    return ".".join(field.name + ("[0]" if field.is_repeated else "") for field in fields)


def found(request: Message) -> list[str]:
    """The fields that are beyond their limits."""
    try:
        Checks(request).done()
    except errors.InvalidArgument as error:
        return [violation.field for violation in error.violations]
    return []


@pytest.mark.parametrize("place", PLACES, ids=NAMES)
def test_what_is_beyond_a_limit_is_refused_with_its_path(place: Place) -> None:
    rule = place[2].each if isinstance(place[2], Many) else place[2]
    for value in over(rule):
        request = sent(place, value)
        fields = found(request) if request else [path(place)]
        assert any(field.startswith(path(place)) for field in fields), value


@pytest.mark.parametrize("place", PLACES, ids=NAMES)
def test_what_is_at_a_limit_is_taken(place: Place) -> None:
    rule = place[2].each if isinstance(place[2], Many) else place[2]
    for value in within(rule):
        request = sent(place, value)
        assert request is None or path(place) not in found(request), value


@pytest.mark.parametrize("place", [place for place in PLACES if isinstance(place[2], Many)])
def test_no_list_has_more_entries_than_its_limit(place: Place) -> None:
    root, (*above, field), rule = place
    assert isinstance(rule, Many)
    request: Message = GetMessageClass(root)()
    target: Any = request
    for outer in above:
        inner = getattr(target, outer.name)
        target = inner.add() if outer.is_repeated else inner
    values = getattr(target, field.name)
    for _ in range(rule.most + 1):
        values.add() if field.message_type else values.append(
            0 if field.cpp_type != FieldDescriptor.CPPTYPE_STRING else "a"
        )
    assert path(place).removesuffix("[0]") in found(request)


def test_every_limit_is_documented_in_the_words_of_json_schema() -> None:
    shown = LIMITS["rag.gateway.v1.SearchRequest"].schema()
    assert shown["required"] == ["query"]
    assert shown["properties"]["query"] == {"maxLength": 4000, "minLength": 1}
    assert shown["properties"]["retrieval"]["properties"]["top_k"] == {"minimum": 1, "maximum": 100}


def test_everything_beyond_its_limit_is_said_at_once_each_thing_once() -> None:
    request = answer_service_pb2.AnswerRequest(request_id="no good", explain=True)
    request.retrieval.top_k = 0
    request.retrieval.filter.must.add(key="1").any_of.SetInParent()
    request.generation.language = "한국어"
    assert sorted(found(request)) == [
        "generation.language",
        "query",
        "request_id",
        "retrieval.filter.must[0].any_of.values",
        "retrieval.filter.must[0].key",
        "retrieval.top_k",
    ]


def test_a_request_whose_filter_alone_is_wrong_has_an_invalid_filter() -> None:
    request = answer_service_pb2.SearchRequest(query="연차")
    request.retrieval.filter.must.add(key="$where").any_of.values.append("x")
    with pytest.raises(errors.FilterInvalid):
        Checks(request).done()


def test_a_flood_of_faults_is_cut() -> None:
    request = answer_service_pb2.AnswerRequest()
    for _ in range(50):
        request.passages.add(title="\x00", uri="\x00", version="\x00")
    assert len(found(request)) == 100


@pytest.mark.parametrize(
    "name", ["보고서\u202egpj.exe", "a\x00b", "a\nb", "a\u2066b", "\x7f", "\uffff"]
)
def test_a_file_name_reads_as_what_it_is(name: str) -> None:
    request = document_service_pb2.IngestDocumentRequest(content=b"x")
    request.document.filename = name
    assert found(request) == ["document.filename"]


@pytest.mark.parametrize(
    "name", ["ad\u200bmin", "admin\u00a0", "ad\u00admin", "\ufeffadmin", "a b"]
)
def test_nothing_of_a_subject_is_unseen(name: str) -> None:
    request = access_service_pb2.IssueTokenRequest(subject=name, scopes=["search"])
    assert found(request) == ["subject"]


@pytest.mark.parametrize("name", ["kim@example.com", "김철수", "svc:ingest/prod"])
def test_a_subject_that_can_be(name: str) -> None:
    assert not found(access_service_pb2.IssueTokenRequest(subject=name, scopes=["search"]))


def test_a_violation_says_the_same_in_korean() -> None:
    request = answer_service_pb2.SearchRequest(query="x" * 4_001)
    with pytest.raises(errors.InputTooLong) as raised:
        Checks(request).done()
    [violation] = raised.value.violations
    assert violation.description == "has 4,001 characters; the limit is 4,000"
    assert violation.korean == "4,001자입니다. 4,000자까지 보낼 수 있습니다."
    assert violation.reason == "INPUT_TOO_LONG"
