"""Calls that go on while something is done to the platform, and what became of each."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import grpc

from tests.e2e.callers import Caller, Refusal, refusal
from tests.support.waiting import until

_WRITERS = 3
_READERS = 3


@dataclass(slots=True)
class Load:
    """Documents that were acknowledged, calls that were answered, and how the others failed."""

    caller: Caller
    stored: set[str] = field(default_factory=set)
    answered: int = 0
    failures: list[Refusal] = field(default_factory=list)
    running: bool = True
    numbers: "count[int]" = field(default_factory=count)

    async def flows(self, documents: int = 6, searches: int = 6) -> None:
        """Return when so many more calls of each kind have ended well."""
        stored, answered = len(self.stored) + documents, self.answered + searches
        await until(
            lambda: len(self.stored) >= stored and self.answered >= answered, "calls end well"
        )

    async def fails(self) -> None:
        """Return when one more call has failed."""
        failed = len(self.failures)
        await until(lambda: len(self.failures) > failed, "calls fail")

    async def write(self) -> None:
        while self.running:
            name = f"doc-{next(self.numbers)}"
            try:
                await self.caller.ingest(name, f"쪽지 {name}의 창고 규칙이다.")
                self.stored.add(name)
            except grpc.aio.AioRpcError as error:
                self.failures.append(refusal(error))

    async def read(self) -> None:
        while self.running:
            try:
                await self.caller.ask(f"쪽지 {next(self.numbers)}의 규칙은 무엇인가?")
                self.answered += 1
            except grpc.aio.AioRpcError as error:
                self.failures.append(refusal(error))


@asynccontextmanager
async def load(caller: Caller) -> AsyncIterator[Load]:
    """Writers and readers work inside the block; on leaving, each ends its last call."""
    created = Load(caller)
    tasks = [asyncio.create_task(created.write()) for _ in range(_WRITERS)]
    tasks += [asyncio.create_task(created.read()) for _ in range(_READERS)]
    try:
        yield created
    finally:
        created.running = False
        await asyncio.gather(*tasks)
