"""What happens around every call, of all four kinds."""

import asyncio
from contextlib import nullcontext, suppress

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from opentelemetry import trace

from rag_common.context import CALL, Principal
from rag_common.grpc.interceptor import Metadata
from rag_contract import errors
from rag_contract.status import from_rpc_error
from tests.support.common.acts import TOKEN, Door, Seen
from tests.support.common.fixtures import TRACE, TRACEPARENT, UNSAMPLED
from tests.support.rpc import (
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

SECRET = "postgres://admin:hunter2@db"


async def broken(_text: str) -> str:
    raise ValueError(SECRET)


async def refusing(_text: str) -> str:
    raise errors.IndexNotFound("there is no index of that name")


# Errors


@every_kind
async def test_an_unknown_exception_is_internal_and_its_text_stays_in_one_traceback(
    kind: str,
) -> None:
    with logged() as lines:
        async with served(broken) as service:
            metadata = [("x-request-id", "r-1"), TRACEPARENT]
            error = await service.raw_failure(kind, metadata=metadata)
            await lines.come("call")
    assert error.code() is grpc.StatusCode.INTERNAL
    assert error.details() == "internal error"
    assert "hunter2" not in f"{error.trailing_metadata()} {error.debug_error_string()}"
    assert from_rpc_error(error).metadata["request_id"] == "r-1"
    assert from_rpc_error(error).trace_id == TRACE
    [line] = lines.of("unexpected_error")
    assert "ValueError: postgres://" in line["exception"]
    assert "hunter2" not in line["exception"]
    assert line["exception"].count("Traceback") == 1
    assert line["request_id"] == "r-1"


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


@every_kind
async def test_an_unreadable_message_is_the_callers_fault_and_leaves_a_line(kind: str) -> None:
    with logged() as lines:
        async with served() as service:
            error = await service.failure(kind, b"\xff\xfe")
            await lines.come("call")
    assert type(error) is errors.MessageMalformed
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
async def test_every_kind_needs_a_token_and_knows_who_calls(kind: str) -> None:
    observed, door = Seen(), Door()
    async with served(observed, authenticate=door) as service:
        await service.call(kind, metadata=TOKEN)
        assert type(await service.failure(kind)) is errors.TokenMissing
    assert observed.call.principal == await door("", dict(TOKEN))
    assert door.methods[:2] == [f"/{NAME}/{kind}"] * 2
    assert CALL.get() is None


@every_kind
async def test_an_unknown_method_is_closed_too(kind: str) -> None:
    async with served(authenticate=Door()) as service:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(service.channel, kind, "hello", service="test.v1.NoService")
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_broken_check_of_who_calls_lets_nobody_in() -> None:
    async def authenticate(_method: str, _metadata: Metadata) -> Principal:
        raise RuntimeError(SECRET)

    observed = Seen()
    async with served(observed, authenticate=authenticate) as service:
        assert type(await service.failure()) is errors.Internal
    assert not observed.calls


class Counting:
    """Counts the calls that are charged, and refuses after the first `allowed` of them."""

    def __init__(self, allowed: int) -> None:
        self.charged = 0
        self._allowed = allowed

    def tier(self, principal: Principal) -> str:
        return "default"

    async def count(self, principal: Principal) -> None:
        self.charged += 1
        if self.charged > self._allowed:
            raise errors.RateLimited("the tenant has used up its calls for now")


async def admitting(text: str) -> str:
    """A handler that reserves what its call costs, and then fails for the word `no`."""
    if text == "invalid":
        raise errors.FieldInvalid.of("text", "is invalid")
    call = CALL.get()
    assert call
    if text == "yes":
        await call.resources.charge(asyncio.sleep(0))
    else:
        await call.resources.reserve(nullcontext())
    if text == "no":
        raise errors.IndexNotFound("there is no index of that name")
    return text


@every_kind
async def test_a_call_that_fails_before_its_reservation_is_charged_as_one(kind: str) -> None:
    counting = Counting(allowed=1)
    async with served(admitting, authenticate=Door(), quota=counting) as service:
        assert await service.call(kind, "yes", metadata=TOKEN) == "yes"
        await service.failure(kind, "no", metadata=TOKEN)
        assert counting.charged == 0
        assert isinstance(
            await service.failure(kind, "invalid", metadata=TOKEN), errors.FieldInvalid
        )
        assert isinstance(
            await service.failure(kind, "invalid", metadata=TOKEN), errors.RateLimited
        )


class Stuck(Counting):
    """A store of quotas that does not answer."""

    async def count(self, principal: Principal) -> None:
        await asyncio.Event().wait()


class Stray(Counting):
    """A store of quotas whose own task was cancelled."""

    async def count(self, principal: Principal) -> None:
        raise asyncio.CancelledError


@pytest.mark.parametrize("kind", ["One", "Gather"])
async def test_charging_a_failed_call_takes_no_longer_than_its_deadline(kind: str) -> None:
    brief = Settings(default_deadline=0.1)
    async with served(admitting, authenticate=Door(), quota=Stuck(9), settings=brief) as service:
        async with asyncio.timeout(5):
            error = await service.failure(kind, "invalid", metadata=TOKEN)
    assert type(error) is errors.DeadlineExceeded


@every_kind
async def test_a_stray_cancellation_while_a_failed_call_is_charged_is_internal(kind: str) -> None:
    async with served(admitting, authenticate=Door(), quota=Stray(9)) as service:
        async with asyncio.timeout(5):
            error = await service.failure(kind, "invalid", metadata=TOKEN)
    assert type(error) is errors.Internal


@every_kind
async def test_a_handler_that_admits_no_call_fails(kind: str) -> None:
    async with served(same, authenticate=Door(), quota=Counting(allowed=9)) as service:
        assert isinstance(await service.failure(kind, "yes", metadata=TOKEN), errors.Internal)


# Time


@every_kind
async def test_a_call_without_a_deadline_gets_the_default(kind: str) -> None:
    held = Held()
    async with served(held, settings=Settings(default_deadline=0.05)) as service:
        error = await service.failure(kind)
    assert type(error) is errors.DeadlineExceeded
    assert error.metadata["stage"] == "total"
    assert held.cancelled.is_set()


@pytest.mark.parametrize(
    ("settings", "timeout", "longest"),
    [
        ({"max_deadline": 7}, 1000, 7),
        ({"default_deadline": 30, "max_deadline": 7}, None, 7),
        ({}, 5, 5),
    ],
    ids=["above the cap", "default above the cap", "of the caller"],
)
async def test_a_call_has_the_shortest_of_the_callers_time_the_default_and_the_cap(
    settings: dict[str, int], timeout: float | None, longest: float
) -> None:
    observed = Seen()
    async with served(observed, settings=Settings.load(**settings)) as service:
        await service.call(timeout=timeout)
    assert observed.call.remaining <= longest


@every_kind
async def test_too_little_time_is_refused_before_any_work(kind: str) -> None:
    observed = Seen()
    async with served(observed, settings=Settings(min_budget=10)) as service:
        error = await service.failure(kind, timeout=5)
    assert type(error) is errors.DeadlineExceeded
    assert error.metadata["stage"] == "admission"
    assert not observed.calls


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
    assert type(error) is errors.ConcurrencyLimit
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


@pytest.mark.parametrize(
    ("given", "kept"),
    [("order-7", True), (None, False), ("two words", False)],
)
async def test_a_valid_request_id_of_the_caller_is_kept_and_another_is_replaced(
    given: str | None, kept: bool
) -> None:
    observed = Seen()
    async with served(observed) as service:
        await service.call(metadata=[("x-request-id", given)] if given else [])
    assert observed.call.request_id
    assert (observed.call.request_id == given) == kept


async def test_two_calls_have_two_request_ids_and_two_traces() -> None:
    observed = Seen()
    async with served(observed) as service:
        await service.call()
        await service.call(metadata=[("traceparent", "00-garbage")])
    assert len({call.request_id for call in observed.calls}) == 2
    traces = [call.trace_id for call in observed.calls]
    assert len(set(traces)) == 2
    assert [trace.format_trace_id(one.trace_id) for one in observed.positions] == traces
    assert all(position.is_valid for position in observed.positions)


async def test_the_callers_trace_is_continued() -> None:
    observed = Seen()
    async with served(observed) as service:
        await service.call(metadata=[UNSAMPLED])
    assert observed.call.trace_id == TRACE
    [position] = observed.positions
    assert trace.format_trace_id(position.trace_id) == TRACE
    assert not position.trace_flags.sampled


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
            with suppress(grpc.aio.AioRpcError):
                await service.call(kind, metadata=[("x-request-id", "r-2"), TRACEPARENT])
            await lines.come("call")
    [line] = lines.of("call")
    assert (line["method"], line["code"], line.get("reason")) == (f"/{NAME}/{kind}", code, reason)
    assert (line["request_id"], line["trace_id"]) == ("r-2", TRACE)
    assert line["ms"] >= 0
    assert bool(lines.of("unexpected_error")) == (act is broken)


async def test_the_line_names_the_tenant_and_neither_the_question_nor_the_token() -> None:
    with logged() as lines:
        async with served(authenticate=Door()) as service:
            await service.call(text="연봉은?", metadata=TOKEN)
            line = await lines.come("call")
    assert line["tenant"] == "acme"
    assert "연봉" not in lines.getvalue().encode().decode("unicode_escape", "ignore")
    assert "word" not in lines.getvalue()


async def test_an_unknown_method_is_unimplemented_and_leaves_a_line() -> None:
    with logged() as lines:
        async with served() as service:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await method(service.channel, service="test.v1.NoService")("x")
            line = await lines.come("call")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert rpc_status.from_call(caught.value) is not None
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
    assert NAME in {result.name for result in reply.list_services_response.service}
    assert not lines.of("call")
