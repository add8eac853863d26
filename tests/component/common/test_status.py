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
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_common.context import Call
from rag_contract import errors, status
from rag_contract.error_messages import GENERAL, KOREAN, SENTENCES, malformed, violation
from rag_contract.errors import AppError, FieldViolation
from tests.support.rpc import Served, served

KINDS = list(status.tree())
MOST_DETAILS_BYTES = 4096
IN_A_CALL = Call("r" * 64, "0af7651916cd43dd8448eb211c80319c", deadline=0.0, language="ko-KR")
HUGE = "긴 글" * 10_000


def raising(error: AppError) -> AbstractAsyncContextManager[Served]:
    async def act(_text: str) -> str:
        raise error

    return served(act)


async def status_of(service: Served, language: str = "") -> Status:
    headers = [("accept-language", language)] if language else []
    result: Status | None = rpc_status.from_call(await service.raw_failure(metadata=headers))
    assert result is not None
    return result


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


@pytest.mark.parametrize("family", [AppError, *(f for f in status.CODES if f not in KINDS)])
def test_a_family_is_abstract(family: type[AppError]) -> None:
    with pytest.raises(TypeError, match="is a family of errors"):
        family("x")


def test_every_error_has_one_code_and_a_reason_of_its_own() -> None:
    assert all(any(family in status.CODES for family in kind.__mro__) for kind in KINDS)
    assert len(set(status.CODES.values())) == len(status.CODES)
    reasons = [kind.reason for kind in KINDS if kind.reason != status.UNSPECIFIED]
    assert len(set(reasons)) == len(reasons)


def test_every_reason_and_nothing_else_has_a_korean_sentence() -> None:
    assert KOREAN.keys() == {kind.reason for kind in KINDS}
    assert all(any("가" <= c <= "힣" for c in text) for text in KOREAN.values())


@pytest.mark.parametrize("kind", KINDS)
def test_details_stay_under_four_kibibytes(kind: type[AppError]) -> None:
    assert status.to_status(huge(kind), IN_A_CALL).ByteSize() < MOST_DETAILS_BYTES


@settings(max_examples=30)
@given(
    message=st.text(),
    facts=st.dictionaries(st.text(), st.text(), max_size=50),
    fields=st.lists(st.tuples(st.text(), st.text()), max_size=50),
)
def test_no_text_is_too_long_or_too_odd(
    message: str, facts: dict[str, str], fields: Sequence[tuple[str, str]]
) -> None:
    violations = [FieldViolation(field * 9, text * 9) for field, text in fields]
    error = errors.FieldInvalid(message * 99, metadata=facts, violations=violations)
    assert status.to_status(error, IN_A_CALL).ByteSize() < MOST_DETAILS_BYTES


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert status.to_status(errors.DocumentNotFound("\ud800"), None).message == "?"


@pytest.mark.parametrize("kind", [errors.FieldInvalid, errors.ConcurrencyLimit])
async def test_the_largest_error_arrives_every_time_with_its_first_violations(
    kind: type[AppError],
) -> None:
    async with raising(huge(kind)) as service:
        failures = await asyncio.gather(*(service.failure() for _ in range(20)))
        assert (await status_of(service)).message.endswith("…")
    assert {type(error) for error in failures} == {kind}
    if kind is errors.FieldInvalid:
        fields = [violation.field for violation in failures[0].violations]
        assert fields[:2] == ["a.b[0]", "a.b[1]"]


def understood(code: grpc.StatusCode, sent: bytes | None = None) -> AppError:
    """What is made of an error of another maker than ours, with these details."""
    trailers = grpc.aio.Metadata(*[(status.DETAILS_KEY, sent)] if sent else [])
    error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers, details="their own words")
    return status.from_rpc_error(error, "qdrant")


def error_info(code: grpc.StatusCode, **info: str) -> bytes:
    result = Status(code=code.value[0], message="x")
    result.details.add().Pack(details.ErrorInfo(**info))
    return result.SerializeToString()


FAMILIES = [(code, kind) for kind, code in status.CODES.items()]


@pytest.mark.parametrize(("code", "family"), FAMILIES)
@pytest.mark.parametrize("detailed", [False, True], ids=["without details", "of another domain"])
def test_an_error_that_is_not_ours_is_of_the_nearest_type(
    code: grpc.StatusCode, family: type[AppError], detailed: bool
) -> None:
    theirs = error_info(code, reason="TOKEN_MISSING", domain="else.where") if detailed else None
    assert isinstance(understood(code, theirs), family)


def test_an_unknown_reason_of_ours_is_of_the_nearest_type() -> None:
    code = grpc.StatusCode.NOT_FOUND
    newer = error_info(code, reason="SHELF_NOT_FOUND", domain=status.DOMAIN)
    error = understood(code, newer)
    assert (isinstance(error, errors.NotFound), error.reason) == (True, status.UNSPECIFIED)
    assert error.message == "x"


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code not in dict(FAMILIES)])
def test_any_other_code_is_internal(code: grpc.StatusCode) -> None:
    assert type(understood(code)) is errors.Internal


def test_broken_details_are_as_none() -> None:
    assert type(understood(grpc.StatusCode.UNAVAILABLE, b"\xff\xff")) is errors.DependencyDown


@pytest.mark.parametrize("code", grpc.StatusCode)
def test_the_words_of_a_stranger_are_not_passed_on(code: grpc.StatusCode) -> None:
    assert "their own words" not in understood(code).message


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("ko-KR,en;q=0.5", ("ko-KR", KOREAN["OVERLOADED"])),
        ("en-US,ko;q=0.5", ("en-US", "too much to do")),
        ("", ("en-US", "too much to do")),
    ],
)
async def test_an_error_has_a_sentence_in_the_callers_language(
    language: str, expected: tuple[str, str]
) -> None:
    async with raising(errors.Overloaded("too much to do")) as service:
        [localized] = of_kind(await status_of(service, language), details.LocalizedMessage)
    assert (localized.locale, localized.message) == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hint", [None, 2.5])
def test_only_an_unavailable_service_with_a_hint_asks_to_be_retried(
    kind: type[AppError], hint: float | None
) -> None:
    trailers = dict(status.trailers(kind("x", retry_after=hint), None))
    requested = hint is not None and issubclass(kind, errors.Unavailable)
    assert trailers.get("grpc-retry-pushback-ms") == ("2500" if requested else None)


@pytest.mark.parametrize(
    ("kind", "carried"),
    [
        (errors.ConcurrencyLimit, details.QuotaFailure),
        (errors.MessageTooLarge, details.QuotaFailure),
        (errors.EmbeddingMismatch, details.PreconditionFailure),
    ],
)
def test_a_family_carries_its_detail(kind: type[AppError], carried: type[Any]) -> None:
    result = status.to_status(kind("why", metadata={"subject": "it"}), None)
    [violation] = of_kind(result, carried)[0].violations
    assert (violation.subject, violation.description) == ("it", "why")


WRONG = errors.FieldInvalid.among(
    [
        violation("query", "REQUIRED"),
        malformed("document.uri", "is not a line", "한 줄이 아닙니다."),
        FieldViolation("found.elsewhere", "must be 1 to 9", "OUT_OF_RANGE"),
        FieldViolation("top_k", "is odd"),
    ]
)


@pytest.mark.parametrize(
    ("language", "locale", "sentences"),
    [
        (
            "en;q=0.8, ko-KR",
            "ko-KR",
            (
                "값이 비어 있습니다.",
                "한 줄이 아닙니다.",
                GENERAL["OUT_OF_RANGE"],
                KOREAN["FIELD_INVALID"],
            ),
        ),
        ("fr", "en-US", ("is empty", "is not a line", "must be 1 to 9", "is odd")),
    ],
)
async def test_each_violation_has_a_sentence_in_the_callers_language(
    language: str, locale: str, sentences: tuple[str, ...]
) -> None:
    async with raising(WRONG) as service:
        [bad] = of_kind(await status_of(service, language), details.BadRequest)
    fields = [(one.field, one.reason) for one in bad.field_violations]
    assert fields == [
        ("query", "REQUIRED"),
        ("document.uri", "MALFORMED"),
        ("found.elsewhere", "OUT_OF_RANGE"),
        ("top_k", "FIELD_INVALID"),
    ]
    localized = [one.localized_message for one in bad.field_violations]
    assert [one.message for one in localized] == list(sentences)
    assert {one.locale for one in localized} == {locale}


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
    wrong = [violation(f"retrieval.collections[{at}]", "TOO_MANY", max=9) for at in range(100)]
    call = Call("r" * 64, "0af7651916cd43dd8448eb211c80319c", deadline=0.0, language=language)
    result = status.to_status(errors.FieldInvalid.among(wrong), call)
    [bad] = of_kind(result, details.BadRequest)
    assert len(bad.field_violations) >= 12
    assert result.ByteSize() < MOST_DETAILS_BYTES
