"""Calling another service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing

import pytest

from rag_common import errors
from rag_common.context import CALL, Call, Trace
from rag_common.rpc import status
from rag_common.rpc.client import Peer
from tests.rpc import KINDS, Held, Settings, each, method, peer, same, served

KINDS_OF_ERROR = [kind for kind in status.tree() if kind is not errors.Cancelled]


class Hop:
    """A service whose work is to call the next one."""

    def __init__(self, next_one: Peer) -> None:
        self._peer = next_one
        self.seen: list[Call] = []

    async def __call__(self, text: str) -> str:
        call = CALL.get()
        assert call is not None
        self.seen.append(call)
        return str(await self._peer.unary(method(self._peer.channel), text))


class Last:
    """The end of the line: keeps the call that it was part of."""

    def __init__(self) -> None:
        self.seen: list[Call] = []

    async def __call__(self, text: str) -> str:
        call = CALL.get()
        assert call is not None
        self.seen.append(call)
        return text


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


def within(seconds: float) -> Call:
    loop = asyncio.get_running_loop()
    return Call("r-1", Trace.new(), deadline=loop.time() + seconds)


class Now:
    """Makes the block part of a call that is being served."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def __enter__(self) -> Call:
        self._token = CALL.set(self._call)
        return self._call

    def __exit__(self, *_: object) -> None:
        CALL.reset(self._token)


# What is passed on


@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_answers(kind: str) -> None:
    async with served() as service, peer(service.ports.grpc) as echo:
        assert [reply async for reply in replies(echo, kind)] == ["hello"]


async def test_ids_are_passed_on_over_a_hop() -> None:
    last = Last()
    async with served(last) as behind, peer(behind.ports.grpc) as echo:
        hop = Hop(echo)
        async with served(hop) as service:
            await service.call(metadata=[("x-request-id", "r-9")])
    assert last.seen[0].request_id == "r-9"
    assert last.seen[0].trace.trace_id == hop.seen[0].trace.trace_id


async def test_the_callee_has_less_time_than_is_left() -> None:
    last = Last()
    async with served(last) as behind, peer(behind.ports.grpc) as echo:
        hop = Hop(echo)
        async with served(hop) as service:
            await service.call(timeout=20)
    assert given(last.seen[0]) < given(hop.seen[0])


async def test_a_peer_gets_no_more_than_its_own_time() -> None:
    last = Last()
    async with served(last) as behind, peer(behind.ports.grpc, timeout=5) as echo:
        await echo.unary(method(echo.channel), "hello")
    assert last.seen[0].remaining < 10


async def test_a_time_of_zero_is_not_the_default() -> None:
    last = Last()
    async with served(last) as behind, peer(behind.ports.grpc) as echo:
        with pytest.raises(errors.DeadlineExceeded):
            await echo.unary(method(echo.channel), "hello", timeout=0)
    assert not last.seen


@pytest.mark.parametrize("kind", KINDS)
async def test_without_time_there_is_no_call(kind: str) -> None:
    last = Last()
    async with served(last) as behind, peer(behind.ports.grpc) as echo:
        with Now(within(0.0)), pytest.raises(errors.DeadlineExceeded) as caught:
            _ = [reply async for reply in replies(echo, kind)]
    assert caught.value.metadata["stage"] == "echo"
    assert not last.seen


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


@pytest.mark.parametrize("kind", KINDS_OF_ERROR)
async def test_an_error_keeps_its_type_over_two_hops(kind: type[errors.AppError]) -> None:
    async def act(_text: str) -> str:
        raise kind("무엇이 잘못되었는지", metadata={"stage": "last"}, retry_after=1.5)

    async with served(act) as behind, peer(behind.ports.grpc) as echo, served(Hop(echo)) as service:
        error = await service.failure(metadata=[("x-request-id", "r-3")])
    assert type(error) is kind
    assert (error.message, error.retry_after) == ("무엇이 잘못되었는지", 1.5)
    assert error.metadata.items() >= {"stage": "last", "request_id": "r-3"}.items()


async def test_a_call_that_the_peer_gave_up_is_unavailable() -> None:
    async def act(_text: str) -> str:
        raise errors.Cancelled("not by the caller")

    async with served(act) as behind, peer(behind.ports.grpc) as echo:
        with pytest.raises(errors.Unavailable) as caught:
            await echo.unary(method(echo.channel), "hello")
    assert caught.value.retry_after


async def test_an_error_in_making_a_message_is_raised_as_it_is() -> None:
    wrong = errors.FilterInvalid("made here")

    async def requests() -> AsyncIterator[str]:
        yield "one"
        raise wrong

    async with served() as behind, peer(behind.ports.grpc) as echo:
        with pytest.raises(errors.FilterInvalid) as caught:
            await echo.upload(method(echo.channel, "Gather"), requests())
    assert caught.value is wrong


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


async def test_an_error_in_making_a_message_leaves_the_task_uncancelled() -> None:
    async def requests() -> AsyncIterator[str]:
        raise errors.NotFound("made here")
        yield

    async with served() as behind, peer(behind.ports.grpc) as echo:
        with pytest.raises(errors.NotFound):
            await echo.upload(method(echo.channel, "Gather"), requests())
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


async def test_leaving_a_stream_cancels_the_other_side() -> None:
    held = Held()

    async def act(text: str) -> str:
        return await (held if text == "two" else same)(text)

    async def requests() -> AsyncIterator[str]:
        yield "one"
        yield "two"
        await asyncio.Event().wait()

    async with served(act) as behind, peer(behind.ports.grpc) as echo:
        async with aclosing(echo.stream(method(echo.channel, "Converse"), requests())) as stream:
            async for reply in stream:
                assert reply == "one"
                await held.begun.wait()
                break
        await held.cancelled.wait()


async def test_breaking_out_of_the_loop_is_leaving() -> None:
    held = Held()

    async def act(text: str) -> str:
        return await (held if text == "two" else same)(text)

    async with served(act) as behind, peer(behind.ports.grpc) as echo:
        async for _ in echo.stream(method(echo.channel, "Converse"), each("one", "two")):
            await held.begun.wait()
            break
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
        while True:
            try:
                await echo.serving()
            except errors.Unavailable:
                continue
            break


async def test_a_message_over_the_limit_is_too_large() -> None:
    small = Settings(max_message_bytes=2**16)
    async with served(settings=small) as behind, peer(behind.ports.grpc) as echo:
        with pytest.raises(errors.MessageTooLarge):
            await echo.unary(method(echo.channel), "x" * 2**17)
