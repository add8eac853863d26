"""Searches under load."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import grpc

from rag_client import calls, requests
from rag_client.load.closed import Latency, closed_loop, latency
from rag_client.load.processes import Spent, Watch
from rag_client.procedures import SEARCH


@dataclass(frozen=True, slots=True)
class SearchLoad:
    """Searches at one concurrency; the rate is of good replies a second, times are milliseconds."""

    concurrency: int
    replies: int
    rate: float
    latency: Latency
    errors: Mapping[str, int]
    processes: Mapping[str, Spent]
    cpu_ms_per_query: Mapping[str, float]


class Searches:
    """The raw call: bytes out, bytes in and not decoded, so that the client costs little."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        metadata: Callable[[], calls.Metadata],
        questions: Iterator[str],
        collection: str,
        timeout: float,
    ) -> None:
        self._call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            SEARCH.path
        )
        self._metadata = metadata
        self._questions = questions
        self._collections = [collection]
        self._timeout = timeout

    async def __call__(self) -> None:
        """One search with the next question; raises grpc.RpcError."""
        request = requests.search(next(self._questions), {"collections": self._collections})
        content = request.SerializeToString()
        await self._call(content, timeout=self._timeout, metadata=self._metadata())


async def load(
    search: Callable[[], Awaitable[None]],
    concurrencies: Sequence[int],
    seconds: float,
    pids: Mapping[str, int],
    begun: Callable[[str], None],
) -> list[SearchLoad]:
    """One closed loop after the other."""
    loads = []
    for concurrency in concurrencies:
        begun(f"search, {concurrency} at a time, {seconds:g} s")
        watch = Watch(pids)
        loop = await closed_loop(search, concurrency, seconds)
        used = watch.read()
        replies = len(loop.latencies)
        each = {name: item.cpu_seconds * 1000 / max(replies, 1) for name, item in used.items()}
        rate = replies / loop.elapsed
        timing = latency(loop.latencies)
        loads.append(SearchLoad(concurrency, replies, rate, timing, loop.errors, used, each))
    return loads
