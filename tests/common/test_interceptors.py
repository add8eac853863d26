"""What happens around every call, of all four kinds."""

import asyncio
from contextlib import suppress

import grpc
import pytest
from google.rpc import error_details_pb2 as details
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from rag_common import errors
from rag_common.context import CALL, Call, Principal, Trace
from rag_common.rpc.interceptors import Metadata
from tests.rpc import (
    KINDS,
    NAME,
    Act,
    Held,
    Served,
    Settings,
    call,
    each,
    logged,
    method,
    same,
    served,
)

every_kind = pytest.mark.parametrize("kind", KINDS)

TRACE = "0af7651916cd43dd8448eb211c80319c"
SECRET = "postgres://admin:hunter2@db"


async def broken(_text: str) -> str:
    raise ValueError(SECRET)


async def refusing(_text: str) -> str:
    raise errors.IndexNotFound("there is no index of that name")


class Seen:
    """Keeps the call that it was part of."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    async def __call__(self, text: str) -> str:
        call = CALL.get()
        assert call is not None
        self.calls.append(call)
        return text

    @property
    def call(self) -> Call:
        [call] = self.calls
        return call


class Door:
    """Lets in who brings the word."""

    def __init__(self) -> None:
        self.methods: list[str] = []

    async def __call__(self, method: str, metadata: Metadata) -> Principal:
        self.methods.append(method)
        if metadata.get("authorization") != "Bearer word":
            raise errors.TokenMissing("no token")
        return Principal("kim", "acme", frozenset({"search"}))


# Errors


@every_kind
async def test_an_unknown_exception_is_internal_and_its_text_stays_here(kind: str) -> None:
    async with served(broken) as service:
        error = await service.raw_failure(kind)
    assert error.code() is grpc.StatusCode.INTERNAL
    assert error.details() == "internal error"
    assert "hunter2" not in f"{error.trailing_metadata()} {error.debug_error_string()}"


@every_kind
async def test_an_unknown_exception_carries_the_request_id_and_leaves_one_traceback(
    kind: str,
) -> None:
    with logged() as lines:
        async with served(broken) as service:
            error = await service.failure(kind, metadata=[("x-request-id", "r-1")])
            await lines.come("call")
    assert error.metadata["request_id"] == "r-1"
    [line] = lines.of("unexpected_error")
    assert "ValueError: postgres://" in line["exception"]
    assert "hunter2" not in line["exception"]
    assert line["exception"].count("Traceback") == 1
    assert line["request_id"] == "r-1"


@every_kind
async def test_an_error_of_ours_is_told_and_leaves_no_traceback(kind: str) -> None:
    with logged() as lines:
        async with served(refusing) as service:
            assert type(await service.failure(kind)) is errors.IndexNotFound
            await lines.come("call")
    assert not lines.of("unexpected_error")


async def test_a_timeout_of_something_else_is_not_the_callers_deadline() -> None:
    async def act(_text: str) -> str:
        raise TimeoutError("the database did not answer")

    async with served(act) as service:
        assert type(await service.failure()) is errors.Internal


async def test_a_stream_ends_with_its_error_after_what_it_gave() -> None:
    async def act(text: str) -> str:
        if text == "bad":
            raise errors.FilterInvalid("bad")
        return text

    got = []

    async def converse(service: Served) -> None:
        async for reply in method(service.channel, "Converse")(each("good", "bad")):
            got.append(reply)

    async with served(act) as service:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await converse(service)
    assert got == ["good"]
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_unknown_method_is_unimplemented() -> None:
    async with served() as service:
        call = method(service.channel, service="test.v1.NoService")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call("hello")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert rpc_status.from_call(caught.value) is not None


@every_kind
async def test_an_unreadable_message_is_the_callers_fault_and_leaves_a_line(kind: str) -> None:
    with logged() as lines:
        async with served() as service:
            error = await service.failure(kind, b"\xff\xfe")
            await lines.come("call")
    assert type(error) is errors.InvalidArgument
    assert not lines.of("unexpected_error")
    assert "0xff" not in error.message


@every_kind
async def test_an_unsendable_reply_is_an_internal_error(kind: str) -> None:
    async def act(_text: str) -> str:
        return "\ud800"

    with logged() as lines:
        async with served(act) as service:
            assert type(await service.failure(kind)) is errors.Internal
            line = await lines.come("call")
    assert line["code"] == "INTERNAL"


# Who calls


@every_kind
async def test_every_kind_is_closed_without_a_token(kind: str) -> None:
    seen = Seen()
    async with served(seen, authenticate=Door()) as service:
        assert type(await service.failure(kind)) is errors.TokenMissing
    assert not seen.calls


@every_kind
async def test_every_kind_is_open_with_one_and_knows_who_calls(kind: str) -> None:
    seen, door = Seen(), Door()
    async with served(seen, authenticate=door) as service:
        await service.call(kind, metadata=[("authorization", "Bearer word")])
    assert seen.call.principal == Principal("kim", "acme", frozenset({"search"}))
    assert door.methods == [f"/{NAME}/{kind}"]


@every_kind
async def test_an_unknown_method_is_closed_too(kind: str) -> None:
    async with served(authenticate=Door()) as service:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(service.channel, kind, "hello", service="test.v1.NoService")
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_broken_check_of_who_calls_lets_nobody_in() -> None:
    async def authenticate(_method: str, _metadata: Metadata) -> Principal:
        raise RuntimeError(SECRET)

    seen = Seen()
    async with served(seen, authenticate=authenticate) as service:
        assert type(await service.failure()) is errors.Internal
    assert not seen.calls


async def test_a_principal_does_not_outlive_its_call() -> None:
    seen = Seen()
    async with served(seen, authenticate=Door()) as service:
        await service.call(metadata=[("authorization", "Bearer word")])
        await service.failure()
    assert len(seen.calls) == 1
    assert CALL.get() is None


# Time


@every_kind
async def test_a_call_without_a_deadline_gets_the_default(kind: str) -> None:
    held = Held()
    async with served(held, settings=Settings(default_deadline=0.05)) as service:
        error = await service.failure(kind)
    assert type(error) is errors.DeadlineExceeded
    assert error.metadata["stage"] == "total"
    assert held.cancelled.is_set()


async def test_no_caller_gets_more_than_the_cap() -> None:
    seen = Seen()
    async with served(seen, settings=Settings(max_deadline=7)) as service:
        await service.call(timeout=1000)
    assert seen.call.remaining <= 7


async def test_the_cap_holds_for_the_default_too() -> None:
    seen = Seen()
    async with served(seen, settings=Settings(default_deadline=30, max_deadline=7)) as service:
        await service.call()
    assert seen.call.remaining <= 7


async def test_a_shorter_deadline_of_the_caller_counts() -> None:
    seen = Seen()
    async with served(seen) as service:
        await service.call(timeout=5)
    assert seen.call.remaining < 10


@every_kind
async def test_too_little_time_is_refused_before_any_work(kind: str) -> None:
    seen = Seen()
    async with served(seen, settings=Settings(min_budget=10)) as service:
        error = await service.failure(kind, timeout=5)
    assert type(error) is errors.DeadlineExceeded
    assert error.metadata["stage"] == "admission"
    assert not seen.calls


# Callers that leave


@every_kind
async def test_a_caller_that_leaves_cancels_the_work_and_is_logged_once(kind: str) -> None:
    held = Held()
    with logged() as lines:
        async with served(held) as service:
            calling = asyncio.create_task(service.call(kind))
            await held.begun.wait()
            calling.cancel()
            await held.cancelled.wait()
            await lines.come("call")
    [line] = lines.of("call")
    assert line["code"] == "CANCELLED"
    assert not lines.of("unexpected_error")


async def test_a_caller_that_leaves_while_a_message_is_sent_is_logged_as_cancelled() -> None:
    async def much(_text: str) -> str:
        return " ".join(["x" * 2**20] * 64)

    with logged() as lines:
        async with served(much) as service:
            call = method(service.channel, "Many")("go")
            await call.read()
            call.cancel()
            line = await lines.come("call")
    assert line["code"] == "CANCELLED"
    assert len(lines.of("call")) == 1
    assert not lines.of("unexpected_error")


# How many at once


@every_kind
async def test_over_the_bound_a_call_is_refused_with_a_time_to_come_back(kind: str) -> None:
    held = Held()
    async with served(held, settings=Settings(max_in_flight=1)) as service:
        first = asyncio.create_task(service.call())
        await held.begun.wait()
        error = await service.failure(kind)
        held.let_go.set()
        assert await first == "hello"
        assert await service.call() == "hello"
    assert type(error) is errors.ResourceExhausted
    assert error.retry_after


async def test_a_call_that_failed_or_left_gives_its_place_back() -> None:
    held = Held()

    async def act(text: str) -> str:
        return await (broken if text == "break" else held if text == "hold" else same)(text)

    with logged() as lines:
        async with served(act, settings=Settings(max_in_flight=1)) as service:
            await service.failure(text="break")
            await lines.come("call")
            leaving = asyncio.create_task(service.call("Many", "hold"))
            await held.begun.wait()
            leaving.cancel()
            await held.cancelled.wait()
            assert await service.call() == "hello"


# Ids


async def test_the_callers_request_id_is_kept() -> None:
    seen = Seen()
    async with served(seen) as service:
        await service.call(metadata=[("x-request-id", "order-7")])
    assert seen.call.request_id == "order-7"


@pytest.mark.parametrize("given", [None, "two words", "x" * 65, "a/b"])
async def test_without_a_fit_one_a_request_id_is_made(given: str | None) -> None:
    seen = Seen()
    async with served(seen) as service:
        await service.call(metadata=[("x-request-id", given)] if given else [])
    assert seen.call.request_id
    assert seen.call.request_id != given


async def test_two_calls_have_two_request_ids_and_two_traces() -> None:
    seen = Seen()
    async with served(seen) as service:
        await service.call()
        await service.call()
    assert len({call.request_id for call in seen.calls}) == 2
    assert len({call.trace.trace_id for call in seen.calls}) == 2


async def test_the_callers_trace_is_continued() -> None:
    seen = Seen()
    async with served(seen) as service:
        await service.call(metadata=[("traceparent", f"00-{TRACE}-b7ad6b7169203331-00")])
    assert seen.call.trace.trace_id == TRACE
    assert not seen.call.trace.sampled


async def test_without_one_a_trace_is_begun() -> None:
    seen = Seen()
    async with served(seen) as service:
        await service.call(metadata=[("traceparent", "00-garbage")])
    assert Trace.parse(seen.call.trace.traceparent) == seen.call.trace


@every_kind
async def test_an_error_carries_the_trace_id(kind: str) -> None:
    async with served(refusing) as service:
        error = await service.raw_failure(
            kind, metadata=[("traceparent", f"00-{TRACE}-b7ad6b7169203331-01")]
        )
    found = details.RequestInfo()
    assert any(detail.Unpack(found) for detail in rpc_status.from_call(error).details)
    assert found.serving_data == f"trace_id={TRACE}"


# The log line


@every_kind
@pytest.mark.parametrize(
    ("act", "code", "reason"),
    [
        (same, "OK", None),
        (refusing, "NOT_FOUND", "INDEX_NOT_FOUND"),
        (broken, "INTERNAL", "INTERNAL"),
    ],
)
async def test_every_call_leaves_one_line(
    kind: str, act: Act, code: str, reason: str | None
) -> None:
    with logged(level="info") as lines:
        async with served(act) as service:
            headers = [("x-request-id", "r-2"), ("traceparent", f"00-{TRACE}-b7ad6b7169203331-01")]
            with suppress(grpc.aio.AioRpcError):
                await service.call(kind, metadata=headers)
            await lines.come("call")
    [line] = lines.of("call")
    assert (line["method"], line["code"], line.get("reason")) == (f"/{NAME}/{kind}", code, reason)
    assert (line["request_id"], line["trace_id"]) == ("r-2", TRACE)
    assert line["ms"] >= 0


async def test_the_line_names_the_tenant() -> None:
    with logged() as lines:
        async with served(authenticate=Door()) as service:
            await service.call(metadata=[("authorization", "Bearer word")])
            line = await lines.come("call")
    assert line["tenant"] == "acme"


async def test_neither_what_was_asked_nor_the_token_is_logged() -> None:
    with logged() as lines:
        async with served(authenticate=Door()) as service:
            await service.call(text="연봉은?", metadata=[("authorization", "Bearer word")])
            await lines.come("call")
    assert "연봉" not in lines.getvalue().encode().decode("unicode_escape", "ignore")
    assert "word" not in lines.getvalue()


async def test_an_unknown_method_leaves_a_line() -> None:
    with logged() as lines:
        async with served() as service:
            with pytest.raises(grpc.aio.AioRpcError):
                await method(service.channel, service="test.v1.NoService")("x")
            line = await lines.come("call")
    assert (line["code"], line["reason"]) == ("UNIMPLEMENTED", "METHOD_UNKNOWN")


# What is left alone


async def test_health_and_reflection_need_no_token_and_leave_no_line() -> None:
    with logged() as lines:
        async with served(authenticate=Door()) as service:
            health = health_pb2_grpc.HealthStub(service.channel)
            await health.Check(health_pb2.HealthCheckRequest())
            reflect = reflection_pb2_grpc.ServerReflectionStub(service.channel)
            ask = reflection_pb2.ServerReflectionRequest(list_services="")
            [reply] = [item async for item in reflect.ServerReflectionInfo(iter([ask]))]
    assert NAME in {found.name for found in reply.list_services_response.service}
    assert not lines.of("call")
