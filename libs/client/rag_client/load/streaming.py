"""Streamed answers under load."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import grpc

from rag_client import calls, requests
from rag_client.load.closed import Latency, closed_loop, latency
from rag_client.procedures import STREAM_ANSWER


@dataclass(frozen=True, slots=True)
class StreamLoad:
    """Streamed answers at one concurrency: milliseconds to the first event, first word, and end."""

    concurrency: int
    answers: int
    first_event: Latency
    first_delta: Latency
    last_event: Latency
    errors: Mapping[str, int]


class Streams:
    """One streamed answer a call; keeps the times of the events of each."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        metadata: Callable[[], calls.Metadata],
        questions: Iterator[str],
        collection: str,
        timeout: float,
    ) -> None:
        self._call = channel.unary_stream(
            STREAM_ANSWER.path,
            STREAM_ANSWER.request.SerializeToString,
            STREAM_ANSWER.reply.FromString,
        )
        self._metadata = metadata
        self._questions = questions
        self._collections = [collection]
        self._timeout = timeout
        self.first_events: list[float] = []
        self.first_deltas: list[float] = []

    async def __call__(self) -> None:
        """One answer, read to its end; raises grpc.RpcError."""
        request = requests.stream_answer(next(self._questions), {"collections": self._collections})
        begin = time.perf_counter()
        seen: set[str | None] = set()
        call = self._call(request, timeout=self._timeout, metadata=self._metadata())
        async for event in call:
            kind = event.WhichOneof("event")
            now = time.perf_counter() - begin
            if not seen:
                self.first_events.append(now)
            if kind == "delta" and kind not in seen:
                self.first_deltas.append(now)
            seen.add(kind)


async def load(
    streams: Callable[[], Streams],
    concurrencies: Sequence[int],
    seconds: float,
    begun: Callable[[str], None],
) -> list[StreamLoad]:
    """One closed loop after the other."""
    loads = []
    for concurrency in concurrencies:
        begun(f"stream, {concurrency} at a time, {seconds:g} s")
        stream = streams()
        loop = await closed_loop(stream, concurrency, seconds)
        loads.append(
            StreamLoad(
                concurrency,
                len(loop.latencies),
                first_event=latency(stream.first_events),
                first_delta=latency(stream.first_deltas),
                last_event=latency(loop.latencies),
                errors=loop.errors,
            )
        )
    return loads
