"""Acts and callers for the echo service of `tests.support.rpc`."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import SpanContext

from rag_common.context import CALL, Call, Principal
from rag_common.grpc.interceptor import Metadata
from rag_contract import errors

TOKEN = [("authorization", "Bearer word")]


class Seen:
    """Returns its text, and keeps each call that it was part of with the span around it."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.positions: list[SpanContext] = []

    async def __call__(self, text: str) -> str:
        call = CALL.get()
        assert call is not None
        self.calls.append(call)
        self.positions.append(trace.get_current_span().get_span_context())
        return text

    @property
    def call(self) -> Call:
        """The only call."""
        [call] = self.calls
        return call


class Door:
    """Authenticates callers with TOKEN, and keeps the methods that were called."""

    def __init__(self) -> None:
        self.methods: list[str] = []

    async def __call__(self, method: str, metadata: Metadata) -> Principal:
        self.methods.append(method)
        if metadata.get("authorization") != "Bearer word":
            raise errors.TokenMissing("no token")
        return Principal("kim", "acme", frozenset({"search"}))


@contextmanager
def within(call: Call) -> Iterator[None]:
    """Make the block part of a call that is being served."""
    token = CALL.set(call)
    try:
        yield
    finally:
        CALL.reset(token)
