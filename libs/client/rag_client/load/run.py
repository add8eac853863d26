"""A benchmark from an empty collection to the report, and back to nothing."""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import grpc

from rag_client import calls
from rag_client.aio import AsyncClient
from rag_client.load import filling, searching, streaming
from rag_client.load.closed import closed_loop
from rag_client.load.filling import FillLoad
from rag_client.load.processes import Spent, Watch
from rag_client.load.searching import Searches, SearchLoad
from rag_client.load.streaming import StreamLoad, Streams


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured; without a collection, the one that the benchmark fills and empties."""

    searches: Sequence[int]
    streams: Sequence[int]
    seconds: float
    warm_up: float
    passages: int
    collection: str
    pids: Mapping[str, int]
    timeout: float


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that one run found."""

    fill: FillLoad
    searches: Sequence[SearchLoad]
    streams: Sequence[StreamLoad]
    processes: Mapping[str, Spent]


async def bench(
    client: AsyncClient,
    channel: grpc.aio.Channel,
    token: Callable[[], str | None],
    questions: Iterator[str],
    plan: Plan,
    begun: Callable[[str], None],
) -> Bench:
    """Fills, warms up, searches, streams; the throwaway collection is emptied whatever happens."""
    throwaway = f"bench-{secrets.token_hex(4)}"
    watch = Watch(plan.pids)
    load = _Load(channel, token, questions, plan.collection or throwaway, plan.timeout)
    try:
        begun(f"ingest, {plan.passages} passages")
        filled = await filling.fill(client, throwaway, plan.passages)
        begun("warm-up")
        await closed_loop(load.searches(), 4, plan.warm_up)
        found = await searching.load(load.searches(), plan.searches, plan.seconds, plan.pids, begun)
        streamed = await streaming.load(load.streams, plan.streams, plan.seconds, begun)
        return Bench(filled, found, streamed, watch.read())
    finally:
        begun("cleaning up")
        await filling.empty(client, throwaway)


@dataclass(frozen=True, slots=True)
class _Load:
    channel: grpc.aio.Channel
    token: Callable[[], str | None]
    questions: Iterator[str]
    collection: str
    timeout: float

    def searches(self) -> Searches:
        return Searches(self.channel, self._metadata, self.questions, self.collection, self.timeout)

    def streams(self) -> Streams:
        return Streams(self.channel, self._metadata, self.questions, self.collection, self.timeout)

    def _metadata(self) -> calls.Metadata:
        return calls.metadata(self.token(), {})
