"""What a tenant with one caller feels of another with many."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag_client.aio import AsyncClient
from rag_client.load import filling
from rag_client.load.closed import Latency, latency
from rag_client.signing import Claims, FreshToken, load_key

RIVALS = (0, 2, 8, 64, 256)
# The rival that merely keeps both cores busy: what is fair beside it is fair.
EQUAL = 2
ROUNDS = 4
COLLECTION = "bench"
TENANTS = MODEST, RIVAL = "bench-modest", "bench-rival"
_PASSAGES = 120
_LOWER = 10


@dataclass(slots=True)
class Share:
    """What came of both beside a rival with so many callers."""

    rival: int
    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    rival_calls: int = 0
    errors: dict[str, int] = field(default_factory=dict)

    @property
    def latency(self) -> Latency:
        """The modest tenant's, in milliseconds."""
        return latency(self.latencies)

    @property
    def rate(self) -> float:
        """The modest tenant's calls a second."""
        return len(self.latencies) / self.seconds

    @property
    def rival_rate(self) -> float:
        """The rival's calls a second."""
        return self.rival_calls / self.seconds


def shares(environment: Mapping[str, str], *, seconds: float) -> list[Share]:
    """Beside each of the rivals. `environment` says where the gateway is, and its RAG_HOME.

    Rivals in turn, round after round, so that what else goes on here touches all of them alike.
    """
    found = [Share(rival) for rival in RIVALS]
    with asyncio.Runner() as runner:
        for tenant in TENANTS:
            runner.run(_with_client(environment, tenant, _fill))
        try:
            for _ in range(ROUNDS):
                for share in found:
                    _round(share, environment, seconds)
        finally:
            for tenant in TENANTS:
                runner.run(_with_client(environment, tenant, _empty))
    return found


async def _with_client(
    environment: Mapping[str, str], tenant: str, work: Callable[[AsyncClient], Awaitable[None]]
) -> None:
    key = load_key(Path(environment["RAG_HOME"]) / "keys" / "dev.pem")
    token = FreshToken(key, Claims(tenant))
    async with AsyncClient(environment["RAG_TARGET"], token=token) as client:
        await work(client)


async def _fill(client: AsyncClient) -> None:
    await filling.fill(client, COLLECTION, _PASSAGES)


async def _empty(client: AsyncClient) -> None:
    await filling.empty(client, COLLECTION)


def _round(share: Share, environment: Mapping[str, str], seconds: float) -> None:
    with _callers(environment, RIVAL, share.rival) as rival:
        with _callers(environment, MODEST, 1) as modest:
            time.sleep(seconds)
            own = modest()
        other = rival()
    began, until = own["began"], own["until"]
    share.latencies += [took for end, took in own["ended"] if end - took >= began]
    share.seconds += until - began
    share.rival_calls += sum(began <= end <= until for end, _ in other["ended"])
    for reason, count in (*own["errors"].items(), *other["errors"].items()):
        share.errors[reason] = share.errors.get(reason, 0) + count


@contextmanager
def _callers(
    environment: Mapping[str, str], tenant: str, callers: int
) -> Iterator[Callable[[], dict[str, Any]]]:
    """Callers that are under way; what is given ends them and says what came of it.

    A rival's give way to everything else on the machine: they would not be on it.
    """
    lower = str(_LOWER if tenant == RIVAL else 0)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "scripts.bench.caller"),
            *(tenant, str(callers), COLLECTION, lower),
        ],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout  # noqa: S101  # it was asked for
    process.stdout.readline()
    try:
        yield lambda: json.loads(process.communicate()[0])
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
