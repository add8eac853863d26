"""The two minutes: calm, a burst of documents, calm, the generator away, calm again."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from scripts.pictures.traffic import Traffic

from rag_client.aio import AsyncClient
from rag_client.calls import NEVER
from rag_client.channel import Gateway
from rag_client.signing import Claims, FreshToken, load_key
from rag_local.platform import Platform
from rag_local.processes import SERVICES, Running, StartFailed, start, targets, wait_healthy

_CALM, _BURST, _AWAY, _READY_SECONDS = 30.0, 25.0, 25.0, 60.0
# After so long the queue is full.
_INTO_BURST = 12.0
_WIDTH = "112"


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that was done to the platform, in seconds since 1970."""

    label: str
    began: float
    ended: float


@dataclass(slots=True)
class Course:
    """What was done and when, and what `rag` said, with colours, by the name of the picture."""

    began: float
    ended: float = 0.0
    moments: list[Moment] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def marked(self, label: str) -> Iterator[None]:
        """Note when the block began and ended."""
        began = time.time()
        yield
        self.moments.append(Moment(label, began, time.time()))


async def course(home: Path, started: Platform, say: Callable[[str], None]) -> Course:
    """Run it. Raises StartFailed where a command fails, or nothing failed that should have."""
    async with _traffic(home, started) as traffic:
        await traffic.samples()
        ran = Course(time.time())
        async with _flowing(traffic):
            say("calm …")
            await asyncio.sleep(_CALM / 2)
            await _trace(ran, "trace", traffic.noted.answered, started)
            await asyncio.sleep(_CALM / 2)
            say("a burst of documents …")
            await _burst(traffic, ran, started)
            await _trace(ran, "trace-failed", traffic.noted.late, started)
            await asyncio.sleep(_CALM)
            say("the generator away …")
            with ran.marked("generator away"):
                await _away(home, started)
            await asyncio.sleep(_CALM)
        ran.ended = time.time()
        return ran


@asynccontextmanager
async def _traffic(home: Path, started: Platform) -> AsyncIterator[Traffic]:
    authority = Path(started.access.settings["RAG_CA_FILE"])
    gateway = Gateway(started.access.target, authority)
    token = FreshToken(load_key(home / "keys" / "dev.pem"), Claims("pictures"))
    client = AsyncClient(gateway.target, tls=gateway.tls, token=token, timeout=10.0, retries=NEVER)
    async with client:
        traffic = Traffic(client, gateway)
        try:
            yield traffic
        finally:
            await traffic.close()


@asynccontextmanager
async def _flowing(traffic: Traffic) -> AsyncIterator[None]:
    flow = asyncio.create_task(traffic.flow())
    try:
        yield
    finally:
        flow.cancel()
        with suppress(asyncio.CancelledError):
            await flow


async def _burst(traffic: Traffic, ran: Course, started: Platform) -> None:
    with ran.marked("burst of documents"):
        burst = asyncio.create_task(traffic.burst(_BURST))
        await asyncio.sleep(_INTO_BURST)
        ran.said["top"] = await _rag(["top", "--once"], started.access.settings)
        await burst


async def _away(home: Path, started: Platform) -> None:
    """The generator ends as in a deployment, and another one comes in its place."""
    service = next(one for one in started.services if one.spec.name == "generator")
    service.process.terminate()
    await asyncio.sleep(_AWAY)
    await asyncio.to_thread(service.process.wait, _READY_SECONDS)
    settings = {"RAG_HOME": str(home), **started.traces.settings, **targets(SERVICES)}
    with service.log.open("ab") as log:
        service.process = start(service.spec, settings, log)
    await asyncio.to_thread(_wait, [service])


def _wait(services: Sequence[Running]) -> None:
    wait_healthy(services, _READY_SECONDS)


async def _trace(ran: Course, name: str, ids: Sequence[str], started: Platform) -> None:
    """Soon enough: the store of traces keeps some two thousand of them."""
    if not ids:
        raise StartFailed(f"there is no call to show as {name}")
    ran.said[name] = await _rag(["trace", ids[-1]], started.access.settings)


async def _rag(arguments: Sequence[str], settings: Mapping[str, str]) -> str:
    """What the command says on a terminal of 112 columns. Raises StartFailed.

    It gives way to the services, so that looking at them changes little.
    """
    process = await asyncio.create_subprocess_exec(
        *("nice", "-n", "19"),
        Path(sys.executable).with_name("rag"),
        *arguments,
        env={**os.environ, **settings, "FORCE_COLOR": "1", "COLUMNS": _WIDTH},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise StartFailed(f"`rag {arguments[0]}` failed; what is above says why")
    return said.decode()
