"""Calls to the nodes of a Qdrant deployment: failed reads are retried, writes never."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import TypeVar

from rag_contract.errors import Unavailable
from rag_retriever.engines.server.client import Client, connect
from rag_retriever.engines.server.requests import translate_errors
from rag_retriever.engines.server.tls import TlsFiles

_T = TypeVar("_T")

# Before each retry at the same node. gRPC fails calls at once while it waits to reconnect (0.1 s, then longer),
# so that the first retry may come too early; by the second one it has tried to connect again.
_PAUSES_SECONDS = (0.25, 0.75)


class Nodes:
    """Calls go to one node until it fails, then to the next; a single node is retried.

    `timeout` in seconds is the deadline of every call, including the retries of a read.
    """

    def __init__(self, clients: Sequence[Client], timeout: float) -> None:
        self._clients = clients
        self._timeout = timeout
        self._current = 0

    async def read(self, call: Callable[[Client], Awaitable[_T]]) -> _T:
        """The result of `call`, retried if it fails. Raises IndexNotFound, Unavailable."""
        end = monotonic() + self._timeout
        alone = len(self._clients) == 1
        # Leaves time for the next node if this one hangs.
        seconds = self._timeout if alone else self._timeout / 2
        for pause in _PAUSES_SECONDS if alone else (0.0,):
            try:
                return await self._call(call, seconds)
            except Unavailable:
                if end - monotonic() <= pause:
                    raise
            await asyncio.sleep(pause)
            seconds = end - monotonic()
        return await self._call(call, seconds)

    async def write(self, call: Callable[[Client], Awaitable[_T]]) -> _T:
        """The result of `call`, not retried. Raises IndexNotFound, Unavailable.

        A write that fails may still have been applied.
        """
        return await self._call(call, self._timeout)

    async def _call(self, call: Callable[[Client], Awaitable[_T]], seconds: float) -> _T:
        node = self._current
        try:
            with translate_errors():
                async with asyncio.timeout(seconds):
                    return await call(self._clients[node])
        except Unavailable:
            if self._current == node:
                self._current = (node + 1) % len(self._clients)
            raise


@asynccontextmanager
async def connected_nodes(
    urls: Sequence[str],
    grpc_port: int,
    timeout: int,
    api_key: Callable[[], str] | None,
    tls: TlsFiles,
) -> AsyncIterator[Nodes]:
    """Connections to these nodes. Raises SettingsInvalid if a certificate's file cannot be read."""
    clients = [connect(url, grpc_port, api_key, tls) for url in urls]
    try:
        yield Nodes(clients, timeout)
    finally:
        for client in clients:
            await client.close()
