"""A gateway for tests: a real server that replies as scripted and remembers what it was asked."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message

from rag.gateway.v1.answer_service_pb2_grpc import (
    AnswerServiceServicer,
    add_AnswerServiceServicer_to_server,
)
from rag.gateway.v1.document_service_pb2_grpc import (
    DocumentServiceServicer,
    add_DocumentServiceServicer_to_server,
)
from rag_common.context import Call, Trace
from rag_common.errors import AppError
from rag_common.rpc.status import code, trailers

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
_CALL = Call("request-1", Trace(TRACE, "00f067aa0ba902b7"), deadline=0.0)


class Silence:
    """Says nothing until the caller has gone; both moments can be waited for."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.ended = threading.Event()


@dataclass(frozen=True)
class PlainRefusal:
    """A failure of gRPC's own, without the details of the error contract."""

    code: grpc.StatusCode
    trailing: tuple[tuple[str, str], ...] = ()


Outcome: TypeAlias = Message | AppError | PlainRefusal | Silence


@dataclass(frozen=True)
class Heard:
    """One call as it arrived; `request` is a list where it came as a stream."""

    method: str
    request: Any
    metadata: dict[str, Any]
    remaining: float


class Neighbour:
    """Replies to the calls of a method with the outcomes scripted for it, one after the other.

    A stream takes a sequence of outcomes. `always` gives a method a function of its request.
    """

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self._script: dict[str, deque[Sequence[Outcome]]] = {}
        self._always: dict[str, Callable[[Any], Message]] = {}

    def says(self, method: str, *outcomes: Outcome | Sequence[Outcome]) -> None:
        """Adds to the script of a method."""
        queue = self._script.setdefault(method, deque())
        for outcome in outcomes:
            queue.append(outcome if isinstance(outcome, Sequence) else (outcome,))

    def always(self, method: str, reply: Callable[[Any], Any]) -> None:
        """Replies to every call of a method; for a stream the function gives the list of events."""
        self._always[method] = reply

    def calls(self, method: str) -> list[Heard]:
        """The calls of one method, in their order."""
        return [heard for heard in self.heard if heard.method == method]

    def unary(self, method: str, request: Any, context: grpc.ServicerContext) -> Message:
        """Replies to a call that ends with one message."""
        return next(self.stream(method, request, context))

    def stream(self, method: str, request: Any, context: grpc.ServicerContext) -> Iterator[Message]:
        """Replies to a call that ends with many."""
        read = request if isinstance(request, Message) else list(request)
        metadata: dict[str, Any] = dict(context.invocation_metadata())
        self.heard.append(Heard(method, read, metadata, context.time_remaining()))
        if method in self._always:
            reply = self._always[method](read)
            yield from reply if isinstance(reply, list) else [reply]
            return
        for outcome in self._script[method].popleft():
            yield _play(outcome, context)


def _play(outcome: Outcome, context: grpc.ServicerContext) -> Message:
    match outcome:
        case AppError():
            context.set_trailing_metadata(trailers(outcome, _CALL))
            context.abort(code(outcome), outcome.message)
        case PlainRefusal(status, trailing):
            context.set_trailing_metadata(trailing)
            context.abort(status, "refused")
        case Silence():
            if not context.add_callback(outcome.ended.set):
                outcome.ended.set()
            outcome.begun.set()
            outcome.ended.wait(30)
            context.abort(grpc.StatusCode.CANCELLED, "gone")
    return outcome


class _Answers(AnswerServiceServicer):
    def __init__(self, neighbour: Neighbour) -> None:
        for method in ("Answer", "Search", "CheckGrounding", "GetCapabilities"):
            setattr(self, method, _bound(neighbour.unary, method))
        setattr(self, "StreamAnswer", _bound(neighbour.stream, "StreamAnswer"))  # noqa: B010


class _Documents(DocumentServiceServicer):
    def __init__(self, neighbour: Neighbour) -> None:
        methods = ("IngestDocument", "UploadDocument", "GetDocument", "ListDocuments")
        for method in (*methods, "ListPassages", "DeleteDocument"):
            setattr(self, method, _bound(neighbour.unary, method))


def _bound(handler: Callable[..., Any], method: str) -> Callable[[Any, Any], Any]:
    return lambda request, context: handler(method, request, context)


@contextmanager
def listening(
    neighbour: Neighbour, credentials: grpc.ServerCredentials | None = None
) -> Iterator[int]:
    """Serves on a port of its own, and gives it."""
    server = grpc.server(
        ThreadPoolExecutor(16), options=[("grpc.max_receive_message_length", 2 * 1024 * 1024)]
    )
    add_AnswerServiceServicer_to_server(_Answers(neighbour), server)  # type: ignore[no-untyped-call]
    add_DocumentServiceServicer_to_server(_Documents(neighbour), server)  # type: ignore[no-untyped-call]
    if credentials:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()
