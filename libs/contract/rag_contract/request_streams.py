"""Request streams over grpc.aio whose calls end with the status that the server sent.

With an iterator of requests, grpc.aio cancels the call if closing the sending side fails, which happens
whenever the call has just ended: by an early reply of the server, or at the deadline. The caller then
gets CancelledError without the status, though nothing was cancelled. If a message cannot be sent, grpc.aio
reports INTERNAL until the real status arrives. So requests are written one by one here, and a failed
write only ends the writing.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import aclosing, suppress
from typing import Any

import grpc

# The exceptions of writing to a call that has ended.
_ENDED = (grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError)
_WRITING_FAILED = "Internal error from Core"
_STATUS_SECONDS = 1.0
# Client and server start their deadlines at most this many seconds apart.
_DEADLINE_MARGIN = 0.02
_END = object()

Requests = AsyncIterator[Any] | Iterable[Any]


async def upload(call: Any, requests: Requests) -> Any:
    """Send the requests over a stream_unary call that was started without any; return its reply.

    Raises grpc.RpcError with the server's status. An error of the `requests` iterator is raised as it
    is, after cancelling the call. A generator of requests is closed when the sending ends.
    """
    status = _Status(call)
    async with _Sending(call, requests) as sending:
        try:
            return await call
        except asyncio.CancelledError:
            sending.reraise()
            raise
        except grpc.RpcError as error:
            raise await status.of(error) from None


async def converse(call: Any, requests: Requests) -> AsyncGenerator[Any, None]:
    """Send the requests over a stream_stream call that was started without any; yield its replies.

    Raises as `upload`. Leaving the loop stops the sending; cancelling the call is left to the caller.
    """
    status = _Status(call)
    async with _Sending(call, requests) as sending:
        try:
            async for reply in call:
                yield reply
        except asyncio.CancelledError:
            sending.reraise()
            raise
        except grpc.RpcError as error:
            raise await status.of(error) from None
        sending.reraise()


class _Sending:
    """A task that writes the requests inside the block."""

    def __init__(self, call: Any, requests: Requests) -> None:
        self._call = call
        self._requests = requests
        self._error: Exception | None = None

    async def __aenter__(self) -> "_Sending":
        self._task = asyncio.get_running_loop().create_task(self._send())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        # asyncio.wait does not raise the task's exception, so a cancellation here is the caller's own.
        await asyncio.wait({self._task})

    def reraise(self) -> None:
        """Raise the error of the `requests` iterator, if there was one."""
        if self._error:
            raise self._error from None

    async def _send(self) -> None:
        try:
            async with aclosing(_each(self._requests)) as requests:
                async for request in requests:
                    if not await _written(self._call.write(request)):
                        return
        except Exception as error:
            self._error = error
            self._call.cancel()
            return
        await _written(self._call.done_writing())


async def _written(writing: Any) -> bool:
    """Whether the write succeeded; if not, the call has ended, and its status says how."""
    try:
        await writing
    except _ENDED:
        return False
    return True


async def _each(requests: Requests) -> AsyncGenerator[Any, None]:
    """The requests one by one. Closing this closes `requests` too if it is a generator."""
    if isinstance(requests, AsyncGenerator):
        async with aclosing(requests):
            async for request in requests:
                yield request
        return
    if isinstance(requests, AsyncIterator):
        async for request in requests:
            yield request
        return
    iterator: Iterator[Any] = iter(requests)
    while (request := next(iterator, _END)) is not _END:
        yield request


class _Status:
    """The status that the server sent, or that of the client's own deadline or cancellation.

    After a failed write grpc.aio reports INTERNAL before the server's status arrives or overwrites it,
    so each status is recorded when it is set.
    """

    def __init__(self, call: Any) -> None:
        self._known = asyncio.Event()
        self._error: grpc.aio.AioRpcError | None = None
        call.add_done_callback(self._note)

    def _note(self, call: Any) -> None:
        if _result(call.details()) == _WRITING_FAILED:
            return
        code = _result(call.code())
        if code is grpc.StatusCode.CANCELLED and _at_deadline(call):
            code = grpc.StatusCode.DEADLINE_EXCEEDED
        self._error = grpc.aio.AioRpcError(
            code,
            _result(call.initial_metadata()),
            _result(call.trailing_metadata()),
            details=_result(call.details()),
            debug_error_string=_result(call.debug_error_string()),
        )
        self._known.set()

    async def of(self, error: grpc.RpcError) -> grpc.RpcError:
        """The error of this status once it has arrived; `error` if none arrives within a second."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_STATUS_SECONDS):
                await self._known.wait()
        return self._error or error


def _at_deadline(call: Any) -> bool:
    """Whether the deadline has passed. A server that notices first resets the stream, like a cancellation."""
    left = call.time_remaining()
    return left is not None and left <= _DEADLINE_MARGIN


def _result(coroutine: Any) -> Any:
    """The result of a coroutine that does not wait, such as the accessors of a finished call."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise RuntimeError("the call is not done")
