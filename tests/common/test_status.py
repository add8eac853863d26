"""The error contract: AppError to google.rpc.Status and back."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2 as details
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status
from hypothesis import given
from hypothesis import strategies as st

from rag_common import errors
from rag_common.context import Call, Trace
from rag_common.errors import AppError, FieldViolation
from rag_common.messages import GENERAL, KOREAN, SENTENCES, malformed, violation
from rag_common.rpc import status
from tests.rpc import Served, served

KINDS = list(status.tree())
MOST_DETAILS_BYTES = 4096
IN_A_CALL = Call("r" * 64, Trace.new(), deadline=0.0, language="ko-KR")
HUGE = "긴 글" * 10_000


def raising(error: AppError) -> AbstractAsyncContextManager[Served]:
    async def act(_text: str) -> str:
        raise error

    return served(act)


async def status_of(service: Served, language: str = "") -> Status:
    headers = [("accept-language", language)] if language else []
    found: Status | None = rpc_status.from_call(await service.raw_failure(metadata=headers))
    assert found is not None
    return found


def of_kind(found: Status, kind: type[Any]) -> list[Any]:
    messages = [(detail, kind()) for detail in found.details]
    return [message for detail, message in messages if detail.Unpack(message)]


def huge(kind: type[AppError]) -> AppError:
    return kind(
        HUGE,
        metadata={"subject": HUGE} | {f"key-{n}": HUGE for n in range(1000)},
        retry_after=1.0,
        violations=[FieldViolation(f"a.b[{n}]", HUGE) for n in range(10_000)],
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_a_code(kind: type[AppError]) -> None:
    assert any(family in status.CODES for family in kind.__mro__)


def test_the_root_of_the_tree_is_internal() -> None:
    assert status.code(AppError("x")) is grpc.StatusCode.INTERNAL


def test_reasons_are_unique() -> None:
    reasons = [kind.reason for kind in KINDS]
    assert len(set(reasons)) == len(reasons)


def test_every_reason_and_nothing_else_has_a_korean_sentence() -> None:
    assert KOREAN.keys() == {kind.reason for kind in KINDS}
    assert all(any("가" <= c <= "힣" for c in text) for text in KOREAN.values())


def test_each_code_has_one_family() -> None:
    assert len(set(status.CODES.values())) == len(status.CODES)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_error_arrives_as_it_was_raised(kind: type[AppError]) -> None:
    violations = [
        FieldViolation("query.text", "is empty", "REQUIRED"),
        FieldViolation("필터", "키"),
    ]
    sent = kind(
        "무엇이 잘못되었는지\n말하는 문장",
        metadata={"stage": "검색", "limit": "3"},
        retry_after=1.25,
        violations=violations if issubclass(kind, errors.InvalidArgument) else (),
    )
    async with raising(sent) as service:
        got = await service.failure()
    assert type(got) is kind
    assert got.message == sent.message
    assert got.metadata.items() >= sent.metadata.items()
    assert got.retry_after == sent.retry_after
    assert got.violations == sent.violations


async def test_without_a_hint_there_is_no_retry() -> None:
    async with raising(errors.Unavailable("down")) as service:
        assert (await service.failure()).retry_after is None


@pytest.mark.parametrize("kind", KINDS)
def test_details_stay_under_four_kibibytes(kind: type[AppError]) -> None:
    assert status.to_status(huge(kind), IN_A_CALL).ByteSize() < MOST_DETAILS_BYTES


@given(
    message=st.text(),
    facts=st.dictionaries(st.text(), st.text(), max_size=50),
    fields=st.lists(st.tuples(st.text(), st.text()), max_size=50),
)
def test_no_text_is_too_long_or_too_odd(
    message: str, facts: dict[str, str], fields: Sequence[tuple[str, str]]
) -> None:
    violations = [FieldViolation(field * 9, text * 9) for field, text in fields]
    error = errors.InvalidArgument(message * 99, metadata=facts, violations=violations)
    assert status.to_status(error, IN_A_CALL).ByteSize() < MOST_DETAILS_BYTES


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert status.to_status(errors.NotFound("\ud800"), None).message == "?"


@pytest.mark.parametrize("kind", [errors.InvalidArgument, errors.ResourceExhausted])
async def test_the_largest_error_arrives_every_time(kind: type[AppError]) -> None:
    async with raising(huge(kind)) as service:
        got = await asyncio.gather(*(service.failure() for _ in range(20)))
    assert {type(error) for error in got} == {kind}


async def test_a_cut_list_of_violations_keeps_the_first() -> None:
    async with raising(huge(errors.InvalidArgument)) as service:
        got = await service.failure()
    assert [violation.field for violation in got.violations][:2] == ["a.b[0]", "a.b[1]"]


async def test_message_and_details_say_the_same() -> None:
    async with raising(errors.NotFound(HUGE)) as service:
        assert (await status_of(service)).message.endswith("…")


class Answering:
    """An error as gRPC gives it, of another maker than ours."""

    def __init__(self, code: grpc.StatusCode, trailers: Sequence[tuple[str, str | bytes]]) -> None:
        self._error = grpc.aio.AioRpcError(
            code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailers), details="their own words"
        )

    def understood(self) -> AppError:
        return status.from_rpc_error(self._error, "qdrant")


FAMILIES = [(code, kind) for kind, code in status.CODES.items()]


@pytest.mark.parametrize(("code", "family"), FAMILIES)
def test_an_error_without_details_is_of_the_nearest_type(
    code: grpc.StatusCode, family: type[AppError]
) -> None:
    assert isinstance(Answering(code, []).understood(), family)


@pytest.mark.parametrize(("code", "family"), FAMILIES)
def test_an_error_of_another_domain_is_of_the_nearest_type(
    code: grpc.StatusCode, family: type[AppError]
) -> None:
    theirs = Status(code=code.value[0], message="x")
    theirs.details.add().Pack(details.ErrorInfo(reason="TOKEN_MISSING", domain="else.where"))
    sent = [(status.DETAILS_KEY, theirs.SerializeToString())]
    assert isinstance(Answering(code, sent).understood(), family)


def test_an_unknown_reason_of_ours_is_of_the_nearest_type() -> None:
    newer = Status(code=grpc.StatusCode.NOT_FOUND.value[0], message="x")
    newer.details.add().Pack(details.ErrorInfo(reason="SHELF_NOT_FOUND", domain=status.DOMAIN))
    sent = [(status.DETAILS_KEY, newer.SerializeToString())]
    assert type(Answering(grpc.StatusCode.NOT_FOUND, sent).understood()) is errors.NotFound


@pytest.mark.parametrize("code", set(grpc.StatusCode) - {code for code, _ in FAMILIES})
def test_any_other_code_is_internal(code: grpc.StatusCode) -> None:
    assert type(Answering(code, []).understood()) is errors.Internal


def test_broken_details_are_as_none() -> None:
    sent = [(status.DETAILS_KEY, b"\xff\xff")]
    got = Answering(grpc.StatusCode.UNAVAILABLE, sent).understood()
    assert type(got) is errors.Unavailable


def test_the_words_of_a_stranger_are_not_passed_on() -> None:
    for code in grpc.StatusCode:
        assert "their own words" not in Answering(code, []).understood().message


@pytest.mark.parametrize("language", ["ko", "ko-KR,en;q=0.5", "KO_kr", " ko;q=1, en"])
async def test_a_korean_caller_is_told_in_korean(language: str) -> None:
    async with raising(errors.Overloaded("too much to do")) as service:
        [told] = of_kind(await status_of(service, language), details.LocalizedMessage)
    assert (told.locale, told.message) == ("ko-KR", KOREAN["OVERLOADED"])


@pytest.mark.parametrize("language", ["", "en", "en-US,ko;q=0.5", "kok-IN", "*"])
async def test_any_other_caller_is_told_in_english(language: str) -> None:
    async with raising(errors.Overloaded("too much to do")) as service:
        [told] = of_kind(await status_of(service, language), details.LocalizedMessage)
    assert (told.locale, told.message) == ("en-US", "too much to do")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hint", [None, 2.5])
def test_only_an_unavailable_service_with_a_hint_asks_to_be_retried(
    kind: type[AppError], hint: float | None
) -> None:
    trailers = dict(status.trailers(kind("x", retry_after=hint), None))
    asked = hint is not None and issubclass(kind, errors.Unavailable)
    assert trailers.get("grpc-retry-pushback-ms") == ("2500" if asked else None)


@pytest.mark.parametrize(
    ("kind", "carried"),
    [
        (errors.ResourceExhausted, details.QuotaFailure),
        (errors.MessageTooLarge, details.QuotaFailure),
        (errors.EmbeddingMismatch, details.PreconditionFailure),
    ],
)
def test_a_family_carries_its_detail(kind: type[AppError], carried: type[Any]) -> None:
    found = status.to_status(kind("why", metadata={"subject": "it"}), None)
    [violation] = of_kind(found, carried)[0].violations
    assert (violation.subject, violation.description) == ("it", "why")


WRONG = errors.InvalidArgument.among(
    [
        violation("query", "REQUIRED"),
        malformed("document.uri", "is not a line", "한 줄이 아닙니다."),
        FieldViolation("found.elsewhere", "must be 1 to 9", "OUT_OF_RANGE"),
        FieldViolation("top_k", "is odd"),
    ]
)


async def told(language: str) -> list[tuple[str, str, str, str]]:
    """Field, reason, locale and sentence of every violation."""
    async with raising(WRONG) as service:
        [bad] = of_kind(await status_of(service, language), details.BadRequest)
    return [
        (one.field, one.reason, one.localized_message.locale, one.localized_message.message)
        for one in bad.field_violations
    ]


async def test_each_violation_is_said_in_korean_to_who_reads_korean() -> None:
    assert await told("en;q=0.8, ko-KR") == [
        ("query", "REQUIRED", "ko-KR", "값이 비어 있습니다."),
        ("document.uri", "MALFORMED", "ko-KR", "한 줄이 아닙니다."),
        ("found.elsewhere", "OUT_OF_RANGE", "ko-KR", GENERAL["OUT_OF_RANGE"]),
        ("top_k", "FIELD_INVALID", "ko-KR", KOREAN["FIELD_INVALID"]),
    ]


async def test_each_violation_is_said_in_english_to_anybody_else() -> None:
    assert [(locale, said) for _, _, locale, said in await told("fr")] == [
        ("en-US", "is empty"),
        ("en-US", "is not a line"),
        ("en-US", "must be 1 to 9"),
        ("en-US", "is odd"),
    ]


async def test_a_violation_arrives_with_its_reason_and_its_korean() -> None:
    async with raising(WRONG) as service:
        failure = await service.raw_failure(metadata=[("accept-language", "ko")])
    got = status.from_rpc_error(failure).violations
    assert got[:2] == WRONG.violations[:2]
    assert (got[3].reason, got[3].description) == ("", "is odd")


def test_the_message_says_the_first_violation_and_how_many_more_there_are() -> None:
    assert WRONG.message == "query: is empty (and 3 more)"


@pytest.mark.parametrize("reason", SENTENCES)
def test_every_sentence_about_a_field_has_a_general_form(reason: str) -> None:
    assert any("가" <= char <= "힣" for char in GENERAL[reason])


@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_caller_without_other_facts_is_told_a_dozen_violations(language: str) -> None:
    wrong = [violation(f"retrieval.collections[{at}]", "TOO_MANY", most=9) for at in range(100)]
    call = Call("r" * 64, Trace.new(), deadline=0.0, language=language)
    found = status.to_status(errors.InvalidArgument.among(wrong), call)
    [bad] = of_kind(found, details.BadRequest)
    assert len(bad.field_violations) >= 12
    assert found.ByteSize() < MOST_DETAILS_BYTES
