"""Callers as they come: searches, questions, documents and mistakes, in Korean and English."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle, islice

from rag_client import events
from rag_client.aio import AsyncClient
from rag_client.calls import NEVER
from rag_client.channel import Gateway
from rag_client.load.wording import passages, questions
from rag_client.options import SearchOptions
from rag_common.context import Trace
from rag_common.errors import AppError, DeadlineExceeded
from rag_local.processes import ROOT

_SAMPLES = ROOT / "samples"
_SECONDS = 10.0
# Enough for a search on a machine that is not busy, and too little beside a burst of documents.
_HURRY_SECONDS = 0.1
_BURST_CALLERS, _BURST_PASSAGES = 16, 32

Call = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Noted:
    """Trace ids of questions that were answered, and of those that were not in time."""

    answered: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)


class Traffic:
    """Calls of one tenant, each of which ends within ten seconds; what became of them is noted."""

    def __init__(self, client: AsyncClient, gateway: Gateway) -> None:
        self.noted = Noted()
        self._client = client
        self._stranger = AsyncClient(
            gateway.target, tls=gateway.tls, token=_nobody, timeout=_SECONDS, retries=NEVER
        )
        self._searches = questions()
        self._asked = cycle(_sample_questions())
        self._texts = passages()
        self._numbers = iter(range(1_000_000))
        self._chance = random.Random(7)  # noqa: S311  # when the next call comes is no secret

    async def flow(self) -> None:
        """Everything at once, each kind at its own mean rate, until cancelled."""
        kinds: dict[Call, float] = {
            self._search: 10.0,
            self._answer: 1.5,
            self._stream: 1.5,
            self._ingest: 0.3,
            self._hurry: 0.7,
            self._forbidden: 0.2,
            self._nonsense: 0.2,
            self._missing: 0.2,
        }
        async with asyncio.TaskGroup() as group:
            for call, rate in kinds.items():
                group.create_task(self._arrivals(group, call, rate))

    async def samples(self) -> None:
        """Take in the documents that the questions are about."""
        for path in sorted(_SAMPLES.glob("*/*")):
            await self._client.ingest(path)

    async def burst(self, seconds: float) -> None:
        """More documents than the model can take, for so long; refused ones are not tried again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                for _ in range(_BURST_CALLERS):
                    group.create_task(self._upload_on())

    async def close(self) -> None:
        """End the connection of the caller whom nobody knows."""
        await self._stranger.close()

    async def _arrivals(self, group: asyncio.TaskGroup, call: Call, rate: float) -> None:
        while True:
            await asyncio.sleep(self._chance.expovariate(rate))
            group.create_task(self._noting(call))

    async def _noting(self, call: Call) -> None:
        try:
            await call()
        except AppError as error:
            self.noted.failed[error.reason] += 1

    async def _search(self) -> None:
        await self._client.search(next(self._searches))

    async def _hurry(self) -> None:
        """Begin the trace here: who gives up first is told no id."""
        trace = Trace.new()
        options: SearchOptions = {"timeout": _HURRY_SECONDS, "traceparent": trace.traceparent}
        try:
            await self._client.search(next(self._searches), **options)
        except DeadlineExceeded:
            self.noted.late.append(trace.trace_id)
            raise

    async def _answer(self) -> None:
        await self._client.answer(next(self._asked))

    async def _stream(self) -> None:
        async for event in self._client.stream_answer(next(self._asked)):
            if isinstance(event, events.Completed) and not event.answer.skipped:
                self.noted.answered.append(event.answer.trace_id)

    async def _ingest(self) -> None:
        await self._take_in(2)

    async def _forbidden(self) -> None:
        await self._stranger.search("?")

    async def _nonsense(self) -> None:
        await self._client.search("")

    async def _missing(self) -> None:
        await self._client.get_document(f"missing-{next(self._numbers)}")

    async def _upload_on(self) -> None:
        while True:
            await self._noting(lambda: self._take_in(_BURST_PASSAGES))
            await asyncio.sleep(0.5)

    async def _take_in(self, count: int) -> None:
        text = "\n\n".join(islice(self._texts, count))
        name = f"rules-{next(self._numbers)}"
        await self._client.ingest(
            text.encode(), collection="rules", document_id=name, timeout=4 * _SECONDS
        )


def _nobody() -> str:
    """A token that is none."""
    return "nobody"


def _sample_questions() -> Iterator[str]:
    """Nine that the samples answer, then one that they do not."""
    found = json.loads((_SAMPLES / "questions.json").read_text("utf-8"))
    answerable = [one["question"] for one in found["answerable"]]
    for number, other in enumerate(one["question"] for one in found["unanswerable"]):
        yield from (answerable[(9 * number + at) % len(answerable)] for at in range(9))
        yield other
