"""Requests that are read on after the answer is known: within bounds, and at nobody else's cost."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import grpc
import pytest

from rag_common.grpc.discard import Discarder
from rag_contract import request_streams
from tests.support.common.acts import TOKEN, Door
from tests.support.rpc import Held, Served, Settings, each, method, served
from tests.support.waiting import until

Headers = list[tuple[str, str]]

STREAMS = pytest.mark.parametrize("kind", ["Gather", "Converse"])


class Dripping:
    """A stream that never ends and never pauses for long."""

    def __init__(self, message: bytes = b"x") -> None:
        self._message = message
        self.taken = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await asyncio.sleep(0.01)
        self.taken += 1
        return self._message


async def dripped() -> AsyncIterator[bytes]:
    while True:
        yield b"\xff"
        await asyncio.sleep(0.1)


@asynccontextmanager
async def dripping(
    port: int, kind: str, calls: int, metadata: Headers
) -> AsyncIterator[list[asyncio.Task[grpc.StatusCode]]]:
    """So many calls that are sent to without end; each task gives the status of its call."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        tasks = [
            asyncio.create_task(status(channel, kind, dripped(), metadata)) for _ in range(calls)
        ]
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def status(
    channel: grpc.aio.Channel, kind: str, requests: AsyncIterator[bytes], metadata: Headers
) -> grpc.StatusCode:
    """What a call ends with whose requests are these."""
    call = method(channel, kind)(metadata=metadata, timeout=60)
    try:
        if kind == "Gather":
            await request_streams.upload(call, requests)
        else:
            async with aclosing(request_streams.converse(call, requests)) as replies:
                async for _ in replies:
                    pass
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def answers(service: Served, kind: str) -> bool:
    """Whether a call of a known caller finds a place."""
    try:
        return await service.call(kind, metadata=TOKEN) == "hello"
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
            raise
        return False


# What others feel


@STREAMS
@pytest.mark.parametrize(
    ("metadata", "calls"),
    [([], 12), ([], 200), (TOKEN, 12)],
    ids=["strangers", "many strangers", "unreadable messages of a known caller"],
)
async def test_refused_calls_that_are_still_sent_to_take_nobodys_place(
    kind: str, metadata: Headers, calls: int
) -> None:
    door = Door()
    async with (
        served(settings=Settings(max_in_flight=4), authenticate=door) as service,
        dripping(service.ports.grpc, kind, calls, metadata) as tasks,
    ):
        await until(lambda: len(door.methods) >= 8, "the others are there")
        await until(lambda: answers(service, kind), "there is a place", seconds=5)
        if not metadata:
            codes = set(await asyncio.wait_for(asyncio.gather(*tasks), 20))
            assert codes == {grpc.StatusCode.UNAUTHENTICATED}


@STREAMS
@pytest.mark.parametrize("metadata", [[], TOKEN], ids=["stranger", "known"])
async def test_a_refused_call_that_is_still_sent_to_gets_its_status(
    kind: str, metadata: Headers
) -> None:
    held = Held()
    async with served(held, settings=Settings(max_in_flight=1), authenticate=Door()) as service:
        first = asyncio.create_task(service.call(metadata=TOKEN))
        await held.begun.wait()
        reply = method(service.channel, kind)(each(*[b"x" * 100_000] * 100), metadata=metadata)
        code = await asyncio.wait_for(reply.code(), 20)
        held.let_go.set()
        assert await first == "hello"
    refused = grpc.StatusCode.RESOURCE_EXHAUSTED if metadata else grpc.StatusCode.UNAUTHENTICATED
    assert code is refused


@STREAMS
@pytest.mark.parametrize("metadata", [[], TOKEN], ids=["strangers", "known"])
async def test_a_stop_does_not_wait_for_calls_that_are_refused(
    kind: str, metadata: Headers
) -> None:
    door = Door()
    async with AsyncExitStack() as running:
        service = await running.enter_async_context(
            served(settings=Settings(grace=20), authenticate=door)
        )
        async with dripping(service.ports.grpc, kind, 12, metadata):
            await until(lambda: len(door.methods) == 12, "the calls are there")
            began = time.monotonic()
            await running.aclose()
            assert time.monotonic() - began < 10


# The bounds


async def test_so_many_are_read_at_once_and_none_beyond_it() -> None:
    discarder = Discarder(3, seconds=30)
    read = [Dripping() for _ in range(3)]
    tasks = [asyncio.create_task(discarder.discard(one)) for one in read]
    await until(lambda: all(one.taken for one in read), "three are read")
    beyond = Dripping()
    await asyncio.wait_for(discarder.discard(beyond), 5)
    assert beyond.taken == 0
    tasks[0].cancel()
    await asyncio.wait({tasks[0]})
    another = asyncio.create_task(discarder.discard(beyond))
    await until(lambda: beyond.taken, "a place that is free is used")
    for task in (*tasks, another):
        task.cancel()
    await asyncio.wait({*tasks, another})


@pytest.mark.parametrize(("message", "max_bytes", "expected"), [(1, 10, 10), (7, 10, 2), (9, 1, 1)])
async def test_no_more_than_so_many_bytes_are_read(
    message: int, max_bytes: int, expected: int
) -> None:
    stream = Dripping(b"x" * message)
    await asyncio.wait_for(Discarder(1, 30, max_bytes).discard(stream), 10)
    assert stream.taken == expected


@pytest.mark.parametrize("seconds", [0.05, 0.2])
async def test_nothing_is_read_for_longer_than_so_many_seconds(seconds: float) -> None:
    stream = Dripping()
    began = time.monotonic()
    await asyncio.wait_for(Discarder(1, seconds).discard(stream), 10)
    assert time.monotonic() - began >= seconds
    assert stream.taken


@pytest.mark.parametrize("error", [None, ValueError("broken"), grpc.aio.UsageError("ended")])
@pytest.mark.parametrize("pausing", [False, True])
async def test_a_pause_the_end_or_an_error_of_the_stream_ends_the_reading(
    error: Exception | None, pausing: bool
) -> None:
    async def ending() -> AsyncIterator[bytes]:
        yield b"first"
        if pausing:
            await asyncio.Event().wait()
        if error:
            raise error

    await asyncio.wait_for(Discarder(1, 3600).discard(ending()), 10)


async def test_at_a_stop_what_is_being_read_and_what_comes_is_cut_short() -> None:
    discarder = Discarder(2, seconds=3600)
    stream = Dripping()
    reading = asyncio.create_task(discarder.discard(stream))
    await until(lambda: stream.taken, "it is read")
    discarder.hurry()
    await asyncio.wait_for(asyncio.gather(reading, discarder.discard(Dripping())), 10)
