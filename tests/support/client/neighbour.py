"""A gateway for tests: a real server that replies as scripted and remembers what it was asked."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from typing import Any, TypeAlias

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from rag.gateway.v1 import access_service_pb2, answer_service_pb2, document_service_pb2
from rag_common.context import Call
from rag_contract.errors import AppError
from rag_contract.status import code, trailers
from tests.support.authority import Authority

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
_CALL = Call("request-1", TRACE, deadline=0.0)


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

    A stream takes a sequence of outcomes. `always` gives a method a function of its request. `date`
    gives the header of that name, with replies and with errors.
    """

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.date: Callable[[], str] = partial(formatdate, usegmt=True)
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

    def forget(self, method: str) -> None:
        """Ends what `always` began."""
        del self._always[method]

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
        context.send_initial_metadata((("date", self.date()),))
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


@contextmanager
def listening(
    neighbour: Neighbour, credentials: grpc.ServerCredentials | None = None, port: int = 0
) -> Iterator[int]:
    """Serves on that port, or one of its own, and gives it."""
    server = grpc.server(
        ThreadPoolExecutor(16), options=[("grpc.max_receive_message_length", 2 * 1024 * 1024)]
    )
    server.add_generic_rpc_handlers(tuple(_handlers(neighbour)))
    if credentials:
        port = server.add_secure_port(f"127.0.0.1:{port}", credentials)
    else:
        port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()


@contextmanager
def secured(
    neighbour: Neighbour, authority: Authority, name: str = "localhost", *, mutual: bool = False
) -> Iterator[int]:
    """Serves over TLS with a certificate of the authority's; `mutual` wants one of callers too."""
    own = authority.certificate(name)
    roots = authority.roots if mutual else None
    credentials = grpc.ssl_server_credentials([(own.key, own.chain)], roots, mutual)
    with listening(neighbour, credentials) as port:
        yield port


_SERVICES = (
    access_service_pb2.DESCRIPTOR.services_by_name["AccessService"],
    answer_service_pb2.DESCRIPTOR.services_by_name["AnswerService"],
    document_service_pb2.DESCRIPTOR.services_by_name["DocumentService"],
)


def _handlers(neighbour: Neighbour) -> Iterator[grpc.GenericRpcHandler]:
    for service in _SERVICES:
        methods = {method.name: _handler(neighbour, method) for method in service.methods}
        yield grpc.method_handlers_generic_handler(service.full_name, methods)


def _handler(neighbour: Neighbour, method: MethodDescriptor) -> "grpc.RpcMethodHandler[Any, Any]":
    read = GetMessageClass(method.input_type).FromString
    write = GetMessageClass(method.output_type).SerializeToString
    reply = partial(neighbour.unary, method.name)
    if method.server_streaming:
        events = partial(neighbour.stream, method.name)
        return grpc.unary_stream_rpc_method_handler(events, read, write)
    if method.client_streaming:
        return grpc.stream_unary_rpc_method_handler(reply, read, write)
    return grpc.unary_unary_rpc_method_handler(reply, read, write)
