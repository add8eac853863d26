"""CPU of a search by the way it comes: each way for a few seconds, in turn, again and again."""

import asyncio
import math
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev

import uvloop
from scripts.bench.pair import Way

from rag_client import calls
from rag_client.aio import AsyncClient
from rag_client.load import filling
from rag_client.load.closed import Latency, closed_loop, latency
from rag_client.load.processes import Watch
from rag_client.load.searching import Searches
from rag_client.load.wording import questions
from rag_client.signing import Claims, FreshToken, load_key

AT_ONCE = 8
ROUNDS = 8
COLLECTION = "bench"
_PASSAGES = 240


@dataclass(frozen=True, slots=True)
class Extra:
    """How much more, round by round, and the standard error of that."""

    mean: float
    error: float


@dataclass(slots=True)
class Cost:
    """What searches by one way cost the servers' processes; `alone` are latencies without company.

    `rates` are searches a second, round by round.
    """

    way: str
    rounds: list[Mapping[str, float]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)

    @property
    def parts(self) -> dict[str, float]:
        """CPU milliseconds a search by process."""
        return {name: mean(one[name] for one in self.rounds) for name in self.rounds[0]}

    @property
    def latency(self) -> Latency:
        """Of one caller, in milliseconds."""
        return latency(self.alone)

    def over(self, other: "Cost") -> Extra:
        """What this way costs more than the other."""
        pairs = zip(self.rounds, other.rounds, strict=True)
        return _extra([sum(own.values()) - sum(others.values()) for own, others in pairs])

    def slower(self, other: "Cost") -> Extra:
        """By what share of the other's it has fewer searches a second."""
        pairs = zip(self.rates, other.rates, strict=True)
        return _extra([1 - own / others for own, others in pairs])


def _extra(found: Sequence[float]) -> Extra:
    return Extra(mean(found), stdev(found) / math.sqrt(len(found)))


def costs(ways: Sequence[Way], plain_home: Path, *, seconds: float) -> list[Cost]:
    """Every way's, in their order."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_costs(ways, plain_home, seconds))


async def _costs(ways: Sequence[Way], plain_home: Path, seconds: float) -> list[Cost]:
    found = [Cost(way.name) for way in ways]
    asked = questions()
    async with AsyncExitStack() as stack:
        loads = []
        for way in ways:
            token = _token(way, plain_home)
            await stack.enter_async_context(_filled(way, token))
            channel = await stack.enter_async_context(way.gateway.open_async())
            metadata = _metadata(token)
            loads.append(Searches(channel, metadata, asked, COLLECTION, 30.0))
        measured = list(zip(found, ways, loads, strict=True))
        for _, _, search in measured:
            await closed_loop(search, AT_ONCE, seconds / 2)
        for number in range(ROUNDS):
            # Each way begins a round in its turn, so that none is always behind the same other.
            turn = number % len(measured)
            for one in (*measured[turn:], *measured[:turn]):
                await _round(*one, seconds)
    return found


async def _round(cost: Cost, way: Way, search: Searches, seconds: float) -> None:
    watch = Watch(way.pids)
    loop = await closed_loop(search, AT_ONCE, seconds)
    used = watch.read()
    each = {name: one.cpu_seconds * 1000 / len(loop.latencies) for name, one in used.items()}
    cost.rounds.append(each)
    cost.rates.append(len(loop.latencies) / seconds)
    cost.alone += (await closed_loop(search, 1, seconds / 2)).latencies
    sys.stderr.write(f"  {way.name}: {sum(each.values()):.1f} ms\n")


@asynccontextmanager
async def _filled(way: Way, token: Callable[[], str]) -> AsyncIterator[None]:
    """The collection has passages inside the block, and none after it."""
    at = way.gateway
    async with AsyncClient(
        at.target, token=token, tls=at.tls, certificate=at.certificate
    ) as client:
        try:
            await filling.fill(client, COLLECTION, _PASSAGES)
            yield
        finally:
            await filling.empty(client, COLLECTION)


def _token(way: Way, plain_home: Path) -> Callable[[], str]:
    """The token of the trusted platform's operator, or one signed with the development key."""
    if way.token_file:
        text = way.token_file.read_text().strip()
        return lambda: text
    return FreshToken(load_key(plain_home / "keys" / "dev.pem"), Claims("demo"))


def _metadata(token: Callable[[], str]) -> Callable[[], calls.Metadata]:
    return lambda: calls.metadata(token(), {})
