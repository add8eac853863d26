"""Streams of requests: the caller gets the status that the server gave, and never CANCELLED for it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import grpc
import pytest

from rag_contract import errors, request_streams
from tests.support.rpc import Settings, each, logged, method, peer, served

CALLS = 40
BIG, SMALL = b"x" * 100_000, b"x"
SHAPES = [(SMALL, 2), (SMALL, 20), (BIG, 5)]


async def refuse(_requests: Any, context: Any) -> bytes:
    await context.abort(grpc.StatusCode.ALREADY_EXISTS, "refused before anything is read")
    return b""


async def refuse_after_one(requests: Any, context: Any) -> bytes:
    await anext(aiter(requests))
    await context.abort(grpc.StatusCode.ALREADY_EXISTS, "refused midway")
    return b""


async def accept_unread(_requests: Any, _context: Any) -> bytes:
    return b"ok"


async def take_too_long(requests: Any, _context: Any) -> bytes:
    async for _ in requests:
        pass
    await asyncio.sleep(0.02)
    return b"ok"


async def reset_at_deadline(_requests: Any, context: Any) -> bytes:
    await asyncio.sleep(context.time_remaining() - 0.015)
    await context.abort(grpc.StatusCode.CANCELLED, "as a server that notices the deadline first")
    return b""


async def refuse_stream(_requests: Any, context: Any) -> AsyncIterator[bytes]:
    await context.abort(grpc.StatusCode.ALREADY_EXISTS, "refused before anything is read")
    yield b""


@asynccontextmanager
async def bare(behave: Callable[..., Any], *, streams: bool = False) -> AsyncIterator[Any]:
    """A method of a plain gRPC server, which reads out nothing before it ends a call."""
    shape = "stream_stream" if streams else "stream_unary"
    handler = getattr(grpc, f"{shape}_rpc_method_handler")(behave)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("bare", {"Call": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield getattr(channel, shape)("/bare/Call")
    finally:
        await server.stop(0)


async def outcomes(call: Callable[[int], Awaitable[object]], calls: int = CALLS) -> Counter[str]:
    """How many calls ended with each code, CALLS of them at once."""
    counted: Counter[str] = Counter()

    async def one(number: int) -> None:
        try:
            await call(number)
            counted["OK"] += 1
        except grpc.RpcError as error:
            counted[error.code().name] += 1
        except errors.AppError as error:
            counted[type(error).__name__] += 1
        except asyncio.CancelledError:
            counted["cancelled here"] += 1

    for begin in range(0, calls, CALLS):
        await asyncio.gather(*(one(begin + number) for number in range(CALLS)))
    return counted


@pytest.mark.parametrize(("piece", "pieces"), SHAPES)
@pytest.mark.parametrize(
    ("behave", "code"),
    [(refuse, "ALREADY_EXISTS"), (refuse_after_one, "ALREADY_EXISTS"), (accept_unread, "OK")],
)
async def test_an_upload_that_ends_early_has_the_servers_status(
    behave: Callable[..., Any], code: str, piece: bytes, pieces: int
) -> None:
    async with bare(behave) as begin:
        counted = await outcomes(
            lambda _: request_streams.upload(begin(timeout=60), each(*[piece] * pieces))
        )
    assert counted == {code: CALLS}


@pytest.mark.parametrize("calls", [CALLS, pytest.param(25 * CALLS, marks=pytest.mark.long)])
@pytest.mark.parametrize(("piece", "pieces"), SHAPES)
async def test_an_upload_at_its_deadline_is_over_its_deadline(
    piece: bytes, pieces: int, calls: int
) -> None:
    async with bare(take_too_long) as begin:
        counted = await outcomes(
            lambda number: request_streams.upload(
                begin(timeout=0.002 * (1 + number % 8)), each(*[piece] * pieces)
            ),
            calls,
        )
    assert counted == {"DEADLINE_EXCEEDED": calls}


async def test_an_upload_that_the_server_resets_at_its_deadline_is_over_its_deadline() -> None:
    async with bare(reset_at_deadline) as begin:
        counted = await outcomes(lambda _: request_streams.upload(begin(timeout=0.3), each(SMALL)))
    assert counted == {"DEADLINE_EXCEEDED": CALLS}


@pytest.mark.parametrize(("piece", "pieces"), SHAPES)
async def test_a_stream_both_ways_that_ends_early_has_the_servers_status(
    piece: bytes, pieces: int
) -> None:
    async with bare(refuse_stream, streams=True) as begin:

        async def talk(_: int) -> None:
            async for _reply in request_streams.converse(
                begin(timeout=60), each(*[piece] * pieces)
            ):
                pass

        counted = await outcomes(talk)
    assert counted == {"ALREADY_EXISTS": CALLS}


async def test_a_peer_says_that_the_time_is_up_and_nothing_of_cancelling() -> None:
    async def slow(text: str) -> str:
        await asyncio.sleep(0.02)
        return text

    async with (
        served(slow, settings=Settings.load(min_budget=0)) as service,
        peer(service.ports.grpc) as to,
    ):
        gather = method(to.channel, "Gather")
        counted = await outcomes(
            lambda number: to.upload(gather, each("a", "b"), timeout=0.002 * (1 + number % 8))
        )
    assert counted == {"DeadlineExceeded": CALLS}


async def test_an_error_in_making_a_request_is_raised_and_cancels_the_call() -> None:
    async def requests() -> AsyncIterator[bytes]:
        yield b"first"
        raise ValueError("the disk is full")

    async with bare(take_too_long) as begin:
        call = begin(timeout=60)
        with pytest.raises(ValueError, match="the disk is full"):
            await request_streams.upload(call, requests())
        assert call.cancelled()


class Clinging:
    """Requests that end only when they are let go, however often they are cancelled."""

    def __init__(self) -> None:
        self.waiting, self.cancelled, self.let_go = (asyncio.Event() for _ in range(3))

    async def requests(self) -> AsyncIterator[bytes]:
        yield b"first"
        self.waiting.set()
        while not self.let_go.is_set():
            try:
                await self.let_go.wait()
            except asyncio.CancelledError:
                self.cancelled.set()


@pytest.mark.parametrize("kind", ["upload", "converse", "converse, left early"])
async def test_a_caller_that_is_cancelled_while_the_sending_ends_is_cancelled(kind: str) -> None:
    clinging = Clinging()

    async def accept_when_sent(_requests: Any, _context: Any) -> bytes:
        await clinging.waiting.wait()
        return b"ok"

    async def answer_when_sent(_requests: Any, _context: Any) -> AsyncIterator[bytes]:
        await clinging.waiting.wait()
        yield b"ok"

    streams = kind != "upload"

    async def called(call: Any) -> str:
        if not streams:
            await request_streams.upload(call, clinging.requests())
            return "went on"
        async with aclosing(request_streams.converse(call, clinging.requests())) as replies:
            async for _reply in replies:
                if kind == "converse, left early":
                    break
        return "went on"

    async with bare(answer_when_sent if streams else accept_when_sent, streams=streams) as begin:
        task = asyncio.create_task(called(begin(timeout=60)))
        async with asyncio.timeout(10):
            await clinging.cancelled.wait()
        task.cancel()
        await asyncio.wait({task}, timeout=0.1)
        clinging.let_go.set()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("piece", [SMALL, 100 * BIG], ids=["at rest", "in the middle of a write"])
async def test_a_generator_of_requests_is_closed_when_the_sending_ends(piece: bytes) -> None:
    closed = False

    async def requests() -> AsyncIterator[bytes]:
        nonlocal closed
        try:
            while True:
                yield piece
        finally:
            closed = True

    async with bare(accept_unread) as begin:
        assert await request_streams.upload(begin(timeout=60), requests()) == b"ok"
        assert closed


async def test_leaving_the_replies_stops_the_sending() -> None:
    sent = 0

    async def requests() -> AsyncIterator[str]:
        nonlocal sent
        while True:
            sent += 1
            yield "word"
            await asyncio.sleep(0.001)

    async with served() as service:
        call = method(service.channel, "Converse")(timeout=60)
        async with aclosing(request_streams.converse(call, requests())) as replies:
            assert await anext(replies) == "word"
        stopped_after = sent
        await asyncio.sleep(0.05)  # Fifty times as long as between two of them.
        assert sent == stopped_after
        call.cancel()


@pytest.mark.parametrize("kind", ["One", "Many", "Gather", "Converse"])
async def test_a_cancellation_that_arises_within_a_handler_is_not_told_to_its_caller(
    kind: str,
) -> None:
    async def stray(_text: str) -> str:
        raise asyncio.CancelledError

    with logged() as lines:
        async with served(stray) as service:
            error = await service.failure(kind)
    assert type(error) is errors.Internal
    [line] = lines.of("stray_cancellation")
    assert line["method"].endswith(kind)
