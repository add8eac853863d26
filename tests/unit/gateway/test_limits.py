"""Every field of every public request has a declared limit, and every limit holds."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from rag.gateway.v1 import access_service_pb2, answer_service_pb2, document_service_pb2
from rag_contract import errors
from rag_gateway.api.validation.limits import LIMITS
from rag_gateway.api.validation.metadata import MetadataRule
from rag_gateway.api.validation.patterns import (
    COLLECTION,
    ID,
    LANGUAGE,
    METADATA_KEY,
    Lifetime,
    Moment,
)
from rag_gateway.api.validation.rules import (
    Choice,
    Content,
    DocumentId,
    Flag,
    ListRule,
    MessageRule,
    Number,
    Rule,
    Text,
)
from rag_gateway.api.validation.validator import RequestValidator

REQUESTS: dict[str, Descriptor] = {
    method.input_type.full_name: method.input_type
    for file in (access_service_pb2, answer_service_pb2, document_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
# The kinds of limits by the type of a field; of all others, Number.
KINDS: dict[int, type[Any] | tuple[type[Any], ...]] = {
    FieldDescriptor.CPPTYPE_STRING: (Text, DocumentId),
    FieldDescriptor.CPPTYPE_BOOL: Flag,
    FieldDescriptor.CPPTYPE_ENUM: Choice,
    FieldDescriptor.CPPTYPE_MESSAGE: MessageRule,
}
WELL_KNOWN: dict[str, type[Any]] = {
    "google.protobuf.Struct": MetadataRule,
    "google.protobuf.Duration": Lifetime,
    "google.protobuf.Timestamp": Moment,
}
# Texts that match the patterns, of any length.
EXAMPLES = {LANGUAGE: "en-US", COLLECTION: "a", ID: "a", METADATA_KEY: "a"}

Place = tuple[Descriptor, tuple[FieldDescriptor, ...], Rule]


def kind(field: FieldDescriptor) -> type[Any] | tuple[type[Any], ...]:
    """The kind of limit that a field of this type has."""
    if field.type == FieldDescriptor.TYPE_BYTES:
        return Content
    if field.message_type and field.message_type.full_name in WELL_KNOWN:
        return WELL_KNOWN[field.message_type.full_name]
    return KINDS.get(field.cpp_type, Number)


def places(root: Descriptor) -> Iterator[Place]:
    """Every field of a request with its rule, at any depth."""
    return _below(root, root, (), LIMITS[root.full_name])


def _below(
    root: Descriptor, message: Descriptor, above: tuple[FieldDescriptor, ...], limits: MessageRule
) -> Iterator[Place]:
    for field in message.fields:
        rule = limits.fields.get(field.name)
        if rule is None:
            continue  # test_the_table_names_every_public_request_and_field_and_no_other fails
        yield root, (*above, field), rule
        inner = rule.each if isinstance(rule, ListRule) else rule
        if isinstance(inner, MessageRule) and field.message_type:
            yield from _below(root, field.message_type, (*above, field), inner)


PLACES = [place for request in REQUESTS.values() for place in places(request)]
NAMES = [f"{root.name}.{'.'.join(field.name for field in fields)}" for root, fields, _ in PLACES]


def test_the_table_names_every_public_request_and_field_and_no_other() -> None:
    assert set(LIMITS) == set(REQUESTS)
    for root in REQUESTS.values():
        _check_names(root, LIMITS[root.full_name])


def _check_names(message: Descriptor, limits: MessageRule) -> None:
    assert set(limits.fields) == {field.name for field in message.fields}, message.full_name
    for field in message.fields:
        rule = limits.fields[field.name]
        inner = rule.each if isinstance(rule, ListRule) else rule
        if isinstance(inner, MessageRule) and field.message_type:
            _check_names(field.message_type, inner)


@pytest.mark.parametrize("place", PLACES, ids=NAMES)
def test_a_field_has_the_kind_of_limit_that_its_type_asks_for(place: Place) -> None:
    _, fields, rule = place
    if fields[-1].is_repeated:
        assert isinstance(rule, ListRule)
        rule = rule.each
    assert isinstance(rule, kind(fields[-1]))


def over(rule: Rule) -> list[Any]:
    """Values beyond a limit; none where every value of the type is within it."""
    match rule:
        case Text():
            return [
                "a" * (rule.maximum + 1),
                *(["\x00"] if rule.pattern else []),
                *([" "] * rule.required),
            ]
        case DocumentId():
            return ["a" * 513, "가" * 171, "\x00", " ", "..", *([""] * rule.required)]
        case Number():
            beyond = [rule.minimum - 1, rule.maximum + 1]
            # One more than the largest double is the same double.
            beyond = [value for value in beyond if not rule.minimum <= value <= rule.maximum]
            return [*beyond, float("nan"), float("inf"), float("-inf")]
        case Choice():
            return [77, -1]
        case Content():
            return [bytes(rule.maximum + 1)] if isinstance(rule.maximum, int) else []
        case MetadataRule():
            return [{f"k{n}": 1 for n in range(rule.keys + 1)}, {"$where": "x"}, {"k": None}]
        case Lifetime():
            return [{"seconds": rule.minimum - 1}, {"seconds": rule.maximum + 1}, {"nanos": -1}]
        case Moment():
            return [{"seconds": 2**62}, {"seconds": 1, "nanos": -1}]
        case _:
            return []


def within(rule: Rule) -> list[Any]:
    """Values at the limit, which are let through."""
    match rule:
        case Text() if rule.pattern in EXAMPLES:
            return [EXAMPLES[rule.pattern]]
        case Text():
            return ["a" * rule.maximum, "가" * rule.maximum]
        case DocumentId():
            return ["a" * 512, "가" * 170 + "aa", "+", *([""] * (not rule.required))]
        case Number():
            return [rule.minimum, rule.maximum]
        case Choice():
            return list(rule.enum.values_by_number)
        case Content():
            return [bytes(rule.maximum)] if isinstance(rule.maximum, int) else [b"x"]
        case MetadataRule():
            return [{f"k{n}": ["x" * rule.characters] for n in range(rule.keys)}]
        case Lifetime():
            return [{"seconds": rule.minimum}, {"seconds": rule.maximum}]
        case Moment():
            return [{"seconds": -62_135_596_800}, {"seconds": 253_402_300_799}]
        case _:
            return []


def target(place: Place) -> tuple[Message, Any]:
    """A request, and the message in it that has the field."""
    root, (*above, _), _ = place
    request: Message = GetMessageClass(root)()
    message: Any = request
    for outer in above:
        inner = getattr(message, outer.name)
        message = inner.add() if outer.is_repeated else inner
        message.SetInParent()
    return request, message


def sent(place: Place, value: Any) -> Message | None:
    """A request with that value in that place; None if the field's type cannot hold it."""
    request, message = target(place)
    field = place[1][-1]
    try:
        if isinstance(value, dict) and kind(field) is MetadataRule:
            getattr(message, field.name).update(value)
        elif isinstance(value, dict):
            for name, part in value.items():
                setattr(getattr(message, field.name), name, part)
        elif field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)
    except (ValueError, TypeError, OverflowError):
        return None
    return request


def path(place: Place) -> str:
    _, fields, _ = place
    return ".".join(field.name + ("[0]" if field.is_repeated else "") for field in fields)


def violations(request: Message) -> list[str]:
    """The fields that are beyond their limits."""
    try:
        RequestValidator(request).validate()
    except errors.InvalidArgument as error:
        return [violation.field for violation in error.violations]
    return []


@pytest.mark.parametrize("place", PLACES, ids=NAMES)
def test_what_is_beyond_a_limit_is_refused_with_its_path_and_what_is_at_it_is_not(
    place: Place,
) -> None:
    rule = place[2].each if isinstance(place[2], ListRule) else place[2]
    for value in over(rule):
        request = sent(place, value)
        fields = violations(request) if request else [path(place)]
        assert any(field.startswith(path(place)) for field in fields), value
    for value in within(rule):
        request = sent(place, value)
        assert request is None or path(place) not in violations(request), value


@pytest.mark.parametrize("place", [place for place in PLACES if isinstance(place[2], ListRule)])
def test_no_list_has_more_entries_than_its_limit(place: Place) -> None:
    _, fields, rule = place
    assert isinstance(rule, ListRule)
    request, message = target(place)
    values = getattr(message, fields[-1].name)
    for _ in range(rule.maximum + 1):
        values.add() if fields[-1].message_type else values.append(
            0 if fields[-1].cpp_type != FieldDescriptor.CPPTYPE_STRING else "a"
        )
    assert path(place).removesuffix("[0]") in violations(request)


def test_every_limit_is_documented_in_the_words_of_json_schema() -> None:
    shown = LIMITS["rag.gateway.v1.SearchRequest"].schema()
    assert shown["required"] == ["query"]
    assert shown["properties"]["query"] == {"maxLength": 4000, "minLength": 1}
    assert shown["properties"]["retrieval"]["properties"]["top_k"] == {"minimum": 1, "maximum": 100}


@pytest.mark.parametrize(
    ("conditions", "fields"),
    [
        ({"must": 40, "should": 40}, ["retrieval.filter"]),
        ({"must": 64, "must_not": 1}, ["retrieval.filter"]),
        ({"must": 22, "should": 22, "must_not": 22}, ["retrieval.filter"]),
        ({"should": 65}, ["retrieval.filter.should"]),
        (
            {"should": 65, "must_not": 70},
            ["retrieval.filter.must_not", "retrieval.filter.should"],
        ),
    ],
)
def test_a_filter_with_too_many_conditions_is_an_invalid_filter(
    conditions: dict[str, int], fields: list[str]
) -> None:
    request = answer_service_pb2.SearchRequest(query="연차")
    for part, count in conditions.items():
        for _ in range(count):
            getattr(request.retrieval.filter, part).add(key="team").any_of.values.append("x")
    with pytest.raises(errors.FilterInvalid) as raised:
        RequestValidator(request).validate()
    assert sorted(violation.field for violation in raised.value.violations) == fields
    for violation in raised.value.violations:
        assert violation.reason == "TOO_MANY"
        assert violation.description == "has over 64 conditions"
        assert violation.korean == "조건이 64개를 넘었습니다."


@pytest.mark.parametrize(("top_k", "error"), [(1, errors.FilterInvalid), (0, errors.FieldInvalid)])
def test_a_wrong_filter_has_an_error_of_its_own_unless_another_field_is_wrong(
    top_k: int, error: type[errors.AppError]
) -> None:
    request = answer_service_pb2.SearchRequest(query="연차")
    request.retrieval.top_k = top_k
    request.retrieval.filter.must.add(key="$where").any_of.values.append("x")
    with pytest.raises(error) as raised:
        RequestValidator(request).validate()
    assert type(raised.value) is error


def test_the_number_of_violations_is_bounded() -> None:
    request = answer_service_pb2.AnswerRequest()
    for _ in range(50):
        request.passages.add(title="\x00", uri="\x00", version="\x00")
    assert len(violations(request)) == 100


@pytest.mark.parametrize(
    "name", ["보고서\u202egpj.exe", "a\x00b", "a\nb", "a\u2066b", "\x7f", "\uffff"]
)
def test_a_file_name_reads_as_what_it_is(name: str) -> None:
    request = document_service_pb2.IngestDocumentRequest(content=b"x")
    request.document.filename = name
    assert violations(request) == ["document.filename"]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        *((name, []) for name in ("kim@example.com", "김철수", "svc:ingest/prod")),
        *(
            (name, ["subject"])
            for name in ("ad\u200bmin", "admin\u00a0", "ad\u00admin", "\ufeffadmin", "a b")
        ),
    ],
)
def test_a_subject_has_no_invisible_characters(name: str, fields: list[str]) -> None:
    request = access_service_pb2.IssueTokenRequest(subject=name, scopes=["search"])
    assert violations(request) == fields


def test_a_violation_says_the_same_in_korean() -> None:
    request = answer_service_pb2.SearchRequest(query="x" * 4_001)
    with pytest.raises(errors.InputTooLong) as raised:
        RequestValidator(request).validate()
    [violation] = raised.value.violations
    assert violation.description == "has 4,001 characters; the limit is 4,000"
    assert violation.korean == "4,001자입니다. 4,000자까지 보낼 수 있습니다."
    assert violation.reason == "INPUT_TOO_LONG"
