"""A platform in three lanes which follows the weights of a canary's analysis, and a Prometheus that reads it.

Calls are counted and not made: each lane has the gateway's real metrics, on pages that Prometheus scrapes.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from rag_common.aio import background
from rag_common.http.pages import serve_http
from rag_common.observability.metrics import Metrics
from rag_gateway.telemetry.metrics import GatewayMetrics
from rag_local.program import free_port, responds, run_until_ready
from tests.support.delivery.scenarios import SEARCH, STREAM
from tests.support.observability.fixtures import INSTALL
from tests.support.parts import tool

LANES = ("stable", "baseline", "canary")
SCRAPE_SECONDS = 0.5
CALLS_PER_SECOND = 800
_TICK_SECONDS = 0.05


@dataclass
class Behaviour:
    """How a lane serves: what every so manieth call does; 0 for never."""

    fails: int = 0
    slow: int = 0
    no_answer: int = 10
    ready: bool = True


@dataclass
class Lane:
    """A lane's gateway, as its metrics show it."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    metrics: Metrics = field(default_factory=lambda: Metrics("gateway"))
    served: int = 0
    failed: int = 0

    def __post_init__(self) -> None:
        self.gateway = GatewayMetrics(self.metrics)
        self.metrics.ready.set(1)

    def serve(self) -> None:
        """Count a call, every second one a stream."""
        self.served += 1
        self.metrics.ready.set(self.behaviour.ready)
        method = STREAM if self.served % 2 else SEARCH
        if self._every(self.behaviour.fails):
            self.failed += 1
            self.metrics.calls.labels(method, "INTERNAL", "standard", "").observe(0.01)
            return
        seconds = 2.0 if self._every(self.behaviour.slow) else 0.08
        self.metrics.calls.labels(method, "OK", "standard", "").observe(seconds)
        if method == STREAM:
            self._answer(seconds)

    def _answer(self, seconds: float) -> None:
        self.gateway.first_token.observe(seconds)
        declined = self._every(self.behaviour.no_answer)
        self.gateway.answers.labels("weak_evidence" if declined else "answered").inc()
        self.gateway.groundedness.observe(1.0)

    def _every(self, number: int) -> bool:
        """Whether it is the call's turn, of odd and of even calls alike."""
        return bool(number) and self.served // 2 % number == 0


@dataclass
class Platform:
    """The lanes, and what the edge knows of their weights."""

    prometheus: str
    weights_url: str = ""
    lanes: dict[str, Lane] = field(default_factory=lambda: {name: Lane() for name in LANES})
    # The weights that were seen, in their order.
    seen: list[int] = field(default_factory=list)

    @property
    def calls(self) -> int:
        """All calls so far."""
        return sum(lane.served for lane in self.lanes.values())

    async def serve(self) -> None:
        """Share calls among the lanes by the current weights; all are stable's without an answer."""
        credit = dict.fromkeys(LANES, 0.0)
        last = time.monotonic()
        async with aiohttp.ClientSession() as session:
            while True:
                weights = await self._weights(session)
                calls, last = CALLS_PER_SECOND * (time.monotonic() - last), time.monotonic()
                for name, weight in weights.items():
                    credit[name] += calls * weight / sum(weights.values())
                    for _ in range(int(credit[name])):
                        self.lanes[name].serve()
                    credit[name] %= 1
                await asyncio.sleep(_TICK_SECONDS)

    async def _weights(self, session: aiohttp.ClientSession) -> dict[str, int]:
        try:
            async with session.get(self.weights_url) as response:
                weights: dict[str, int] = (await response.json())["weights"]
        except (aiohttp.ClientError, ValueError):
            return {"stable": 1}
        if self.seen[-1:] != [weights["canary"]]:
            self.seen.append(weights["canary"])
        return weights


@asynccontextmanager
async def platform(folder: Path, weights_url: str) -> AsyncIterator[Platform]:
    """Run the lanes and a Prometheus inside the block."""
    created = Platform("", weights_url)
    async with AsyncExitStack() as stack:
        ports = {
            name: await stack.enter_async_context(serve_http("127.0.0.1", 0, lane.metrics.pages()))
            for name, lane in created.lanes.items()
        }
        running = _prometheus(folder, ports)
        created.prometheus = await asyncio.to_thread(running.__enter__)
        stack.push_async_callback(asyncio.to_thread, running.__exit__, None, None, None)
        await stack.enter_async_context(background(created.serve()))
        yield created


@contextmanager
def _prometheus(folder: Path, ports: dict[str, int]) -> Iterator[str]:
    every = f"{SCRAPE_SECONDS * 1000:.0f}ms"
    static = [
        {
            "targets": [f"127.0.0.1:{port}"],
            "labels": {"lane": lane, "service": "gateway", "pod": f"{lane}-0"},
        }
        for lane, port in ports.items()
    ]
    job = {"job_name": "rag", "honor_labels": True, "static_configs": static}
    configured = {"global": {"scrape_interval": every, "scrape_timeout": every}}
    path, address = folder / "prometheus.json", f"127.0.0.1:{free_port()}"
    path.write_text(json.dumps({**configured, "scrape_configs": [job]}))
    command = [
        *(tool("prometheus", INSTALL), f"--config.file={path}", "--log.level=warn"),
        *(f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}"),
    ]
    url = f"http://{address}"
    with run_until_ready(command, lambda: responds(f"{url}/-/ready"), folder / "prometheus.log"):
        yield url
