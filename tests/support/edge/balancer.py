"""A load balancer for TCP that asks each edge whether it is ready, as those before a cluster do."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import cycle

import httpx

from rag_common.aio import background
from rag_local.backends.envoy import Edge

_INTERVAL = 0.1


class Balancer:
    """Sends each new connection to the next edge that said it is ready when last asked."""

    def __init__(self, edges: Sequence[Edge]) -> None:
        self._edges = edges
        self._next = cycle(edges)
        self.ready: set[int] = set()
        self.port = 0

    async def watch(self) -> None:
        """Ask every edge again and again, on a connection of its own as balancers do."""
        trust = ssl.create_default_context(cafile=str(self._edges[0].ca))
        async with asyncio.TaskGroup() as group:
            for one in self._edges:
                group.create_task(self._watch(one, trust))

    async def _watch(self, one: Edge, trust: ssl.SSLContext) -> None:
        while True:
            ready = False
            with suppress(httpx.HTTPError):
                async with httpx.AsyncClient(verify=trust, timeout=2) as client:
                    reply = await client.get(f"https://localhost:{one.port}/health/ready")
                ready = reply.status_code == 200
            (self.ready.add if ready else self.ready.discard)(one.port)
            await asyncio.sleep(_INTERVAL)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join a client's connection to one of an edge's."""
        chosen = next(
            (one for one in (next(self._next) for _ in self._edges) if self._is(one)), None
        )
        if chosen is None:
            writer.close()
            return
        inner, outer = await asyncio.open_connection("127.0.0.1", chosen.port)
        await asyncio.gather(_copy(reader, outer), _copy(inner, writer))

    def _is(self, one: Edge) -> bool:
        return one.port in self.ready


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    with suppress(ConnectionError):
        target.close()


@asynccontextmanager
async def balancer(edges: Sequence[Edge]) -> AsyncIterator[Balancer]:
    """Balance on a free port inside the block."""
    made = Balancer(edges)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with background(made.watch()):
        yield made
    server.close()
