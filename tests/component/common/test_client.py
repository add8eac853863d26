"""Calling another service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, suppress

import pytest
from opentelemetry.trace import SpanKind

from rag_common.context import Call
from rag_common.grpc.peer import Peer
from rag_contract import errors, status
from rag_contract.errors import FieldViolation
from tests.support.common.acts import Seen, within
from tests.support.recording import Recorded
from tests.support.rpc import KINDS, Act, Held, Settings, each, logged, method, peer, same, served
from tests.support.waiting import until

KINDS_OF_ERROR = [kind for kind in status.tree() if kind is not errors.Cancelled]


class Hop(Seen):
    """A service whose work is to call the next one."""

    def __init__(self, next_one: Peer) -> None:
        super().__init__()
        self._peer = next_one

    async def __call__(self, text: str) -> str:
        await super().__call__(text)
        return str(await self._peer.unary(method(self._peer.channel), text))


async def replies(of: Peer, kind: str, text: str = "hello") -> AsyncIterator[str]:
    """Call by whichever of the three ways fits the kind."""
    there = method(of.channel, kind)
    match kind:
        case "One":
            yield await of.unary(there, text)
        case "Gather":
            yield await of.upload(there, each(text))
        case "Many":
            async for reply in of.stream(there, text):
                yield reply
        case _:
            async for reply in of.stream(there, each(text)):
                yield reply


def given(call: Call) -> float:
    """Seconds that a call had when it arrived."""
    return call.deadline - call.started


# What is passed on


@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_answers(kind: str) -> None:
    async with served() as service, peer(service.ports.grpc) as echo:
        assert [reply async for reply in replies(echo, kind)] == ["hello"]


async def test_ids_and_the_time_that_is_left_are_passed_on_over_a_hop() -> None:
    last = Seen()
    async with served(last) as behind, peer(behind.ports.grpc) as echo:
        hop = Hop(echo)
        async with served(hop) as service:
            await service.call(timeout=20, metadata=[("x-request-id", "r-9")])
    assert last.call.request_id == "r-9"
    assert last.call.trace_id == hop.call.trace_id
    assert given(last.call) < given(hop.call)


async def test_a_time_of_zero_is_not_the_default() -> None:
    last = Seen()
    async with served(last) as behind, peer(behind.ports.grpc) as echo:
        with pytest.raises(errors.DeadlineExceeded):
            await echo.unary(method(echo.channel), "hello", timeout=0)
    assert not last.calls


@pytest.mark.parametrize("kind", KINDS)
async def test_without_time_there_is_no_call(kind: str) -> None:
    last = Seen()
    async with served(last) as behind, peer(behind.ports.grpc) as echo:
        call = Call("r-1", "0af7651916cd43dd8448eb211c80319c", asyncio.get_running_loop().time())
        with within(call), pytest.raises(errors.DeadlineExceeded) as caught:
            _ = [reply async for reply in replies(echo, kind)]
    assert caught.value.metadata["stage"] == "echo"
    assert not last.calls


async def test_a_peer_that_does_not_answer_in_time_is_named() -> None:
    held = Held()
    async with served(held) as behind, peer(behind.ports.grpc, timeout=0.2) as echo:
        with pytest.raises(errors.DeadlineExceeded):
            await echo.unary(method(echo.channel), "hello")
        await held.cancelled.wait()


async def test_a_caller_that_leaves_cancels_the_last_hop() -> None:
    held = Held()
    async with (
        served(held) as behind,
        peer(behind.ports.grpc) as echo,
        served(Hop(echo)) as service,
    ):
        first = asyncio.create_task(service.call())
        await held.begun.wait()
        first.cancel()
        await held.cancelled.wait()


# Errors


@pytest.mark.parametrize("retry_after", [None, 1.5])
@pytest.mark.parametrize("kind", KINDS_OF_ERROR)
async def test_an_error_arrives_over_two_hops_as_it_was_raised(
    kind: type[errors.AppError], retry_after: float | None
) -> None:
    violations = [
        FieldViolation("query.text", "is empty", "REQUIRED"),
        FieldViolation("필터", "키"),
    ]
    sent = kind(
        "무엇이 잘못되었는지\n말하는 문장",
        metadata={"stage": "검색", "limit": "3"},
        retry_after=retry_after,
        violations=violations if issubclass(kind, errors.InvalidArgument) else (),
    )

    async def act(_text: str) -> str:
        raise sent

    async with served(act) as behind, peer(behind.ports.grpc) as echo, served(Hop(echo)) as service:
        error = await service.failure(metadata=[("x-request-id", "r-3")])
    assert type(error) is kind
    assert (error.message, error.retry_after) == (sent.message, retry_after)
    assert error.metadata.items() >= {**sent.metadata, "request_id": "r-3"}.items()
    assert error.violations == sent.violations


async def test_a_call_that_the_peer_gave_up_is_unavailable() -> None:
    async def act(_text: str) -> str:
        raise errors.Cancelled("not by the caller")

    async with served(act) as behind, peer(behind.ports.grpc) as echo:
        with pytest.raises(errors.Unavailable) as caught:
            await echo.unary(method(echo.channel), "hello")
    assert caught.value.retry_after


async def test_an_error_in_making_a_message_of_a_stream_is_raised_as_it_is() -> None:
    wrong = ValueError("made here")
    got = []

    async def requests() -> AsyncIterator[str]:
        yield "one"
        await answered.wait()
        raise wrong

    async def converse(echo: Peer) -> None:
        async for reply in echo.stream(method(echo.channel, "Converse"), requests()):
            got.append(reply)
            answered.set()

    answered = asyncio.Event()
    async with served() as behind, peer(behind.ports.grpc) as echo:
        with pytest.raises(ValueError, match="made here") as caught:
            await converse(echo)
    assert caught.value is wrong
    assert got == ["one"]


async def test_an_error_in_making_a_message_is_raised_and_leaves_the_task_uncancelled() -> None:
    wrong = errors.DocumentNotFound("made here")

    async def requests() -> AsyncIterator[str]:
        yield "one"
        raise wrong

    async with served() as behind, peer(behind.ports.grpc) as echo:
        with pytest.raises(errors.NotFound) as caught:
            await echo.upload(method(echo.channel, "Gather"), requests())
    assert caught.value is wrong
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_an_upload_refused_midway_raises_the_peers_error() -> None:
    async def act(_text: str) -> str:
        raise errors.MessageTooLarge("enough")

    async def requests() -> AsyncIterator[str]:
        yield "one"
        await refused.wait()

    refused = asyncio.Event()
    async with served(act) as behind, peer(behind.ports.grpc) as echo:
        with pytest.raises(errors.MessageTooLarge):
            async for _ in echo.stream(method(echo.channel, "Converse"), requests()):
                pass
    refused.set()


async def test_a_cancelled_upload_stays_cancelled() -> None:
    held = Held()
    async with served(held) as behind, peer(behind.ports.grpc) as echo:
        upload = asyncio.create_task(echo.upload(method(echo.channel, "Gather"), each("one")))
        await held.begun.wait()
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload
        await held.cancelled.wait()


# Streams that are left


async def broken(_text: str) -> str:
    raise errors.DependencyDown("the model does not answer")


async def slow(text: str) -> str:
    await asyncio.sleep(0.05)
    return text


def codes(recorded: Recorded) -> dict[str, float]:
    """How many calls were made, by code."""
    name = "rag_rpc_client_duration_seconds_count"
    families = recorded.metrics.registry.collect()
    samples = [one for family in families for one in family.samples if one.name == name]
    return {sample.labels["code"]: sample.value for sample in samples}


@pytest.mark.parametrize(
    ("act", "text", "code", "error"),
    [
        (same, "hello", "OK", ""),
        (slow, "hello", "OK", ""),
        (same, "x" * 1_000_000, "OK", ""),
        (broken, "hello", "UNAVAILABLE", "DEPENDENCY_DOWN"),
        (same, "", "OK", "INTERNAL"),
        (same, "two replies", "CANCELLED", "INTERNAL"),
    ],
    ids=["at once", "slow", "large", "failure", "no reply", "second reply"],
)
async def test_a_call_for_one_reply_is_recorded_as_it_ended(
    act: Act, text: str, code: str, error: str
) -> None:
    recorded = Recorded()
    async with (
        served(act) as service,
        peer(service.ports.grpc, telemetry=recorded.telemetry) as echo,
    ):
        with recorded.telemetry.serving("Answer", None, {}), logged() as lines:
            many = method(echo.channel, "Many")
            if error:
                with pytest.raises(errors.AppError) as raised:
                    await echo.prompt(many, text, start=5)
                assert raised.value.reason == error
            else:
                assert await echo.prompt(many, text, start=5) == text
            line = await asyncio.wait_for(lines.come("call"), 10)
    [span] = [span for span in recorded.kept.spans if span.kind is SpanKind.CLIENT]
    assert codes(recorded) == {code: 1}
    assert span.attributes["rpc.response.status_code"] == code
    assert (not span.status.is_ok) == (code != "OK")
    if code != "CANCELLED":
        assert line["code"] == code


@pytest.mark.parametrize("closed", [True, False])
async def test_leaving_a_stream_cancels_the_other_side(closed: bool) -> None:
    held = Held()

    async def act(text: str) -> str:
        return await (held if text == "two" else same)(text)

    async with served(act) as behind, peer(behind.ports.grpc) as echo, AsyncExitStack() as stack:
        stream = echo.stream(method(echo.channel, "Converse"), each("one", "two"))
        if closed:
            await stack.enter_async_context(aclosing(stream))
        async for reply in stream:
            assert reply == "one"
            await held.begun.wait()
            break
        await stack.aclose()
        del stream
        await held.cancelled.wait()


# Peers that are away


async def test_a_peer_that_is_down_is_unavailable() -> None:
    async with served() as gone:
        port = gone.ports.grpc
    async with peer(port) as echo:
        with pytest.raises(errors.Unavailable) as caught:
            await echo.unary(method(echo.channel), "hello")
        with pytest.raises(errors.Unavailable):
            await echo.serving()
    assert caught.value.metadata == {"peer": "echo"}
    assert caught.value.retry_after


async def test_a_peer_that_comes_back_is_found_again() -> None:
    async with AsyncExitStack() as stack:
        async with served() as first:
            port = first.ports.grpc
            echo = await stack.enter_async_context(peer(port))
            assert await echo.unary(method(echo.channel), "hello") == "hello"
        with pytest.raises(errors.Unavailable):
            await echo.unary(method(echo.channel), "hello")
        await stack.enter_async_context(served(settings=Settings(port=port)))
        await echo.channel.channel_ready()
        assert await echo.unary(method(echo.channel), "hello") == "hello"


async def test_a_peer_serves_when_its_checks_pass() -> None:
    up = asyncio.Event()

    async def check() -> None:
        if not up.is_set():
            raise errors.ModelLoading("wait")

    async with served(checks={"model": check}) as behind, peer(behind.ports.grpc) as echo:
        with pytest.raises(errors.Unavailable):
            await echo.serving()
        up.set()

        async def serves() -> bool:
            with suppress(errors.Unavailable):
                await echo.serving()
                return True
            return False

        await until(serves, "it serves")


async def test_a_message_over_the_limit_is_too_large() -> None:
    small = Settings(max_message_bytes=2**16)
    async with served(settings=small) as behind, peer(behind.ports.grpc) as echo:
        with pytest.raises(errors.MessageTooLarge):
            await echo.unary(method(echo.channel), "x" * 2**17)
