"""The companion sets in Envoy the weights that an analysis publishes, and takes them back without one."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rag_common.http.pages import Page, serve_http
from rag_common.observability.metrics import Metrics
from rag_delivery.lanes import Lanes
from rag_delivery.metrics import CanaryMetrics
from rag_edge.edge_config import Lane
from rag_local.program import free_port
from tests.component.edge.test_lanes import CANARY, lanes_of
from tests.component.edge.test_upstream import Replica
from tests.support.edge.companion import companion
from tests.support.edge.fixtures import Setting, setting
from tests.support.edge.gateway import Signer
from tests.support.waiting import until


@dataclass
class Analysis:
    """What publishes weights in `rag_delivery.canary`, or something else."""

    port: int
    lanes: Lanes = field(default_factory=lambda: Lanes(CanaryMetrics(Metrics())))
    body: bytes = b""

    async def page(self) -> Page:
        return Page(self.body) if self.body else await self.lanes.page()


@asynccontextmanager
async def followed(home: Path) -> AsyncIterator[tuple[Setting, Analysis, AsyncExitStack]]:
    """An edge with a canary that has no calls, a companion, and an analysis, which the stack ends."""
    canary, analysis = Replica(Signer()), Analysis(free_port())
    await canary.start()
    lane = Lane("canary", [f"127.0.0.1:{canary.state.port}"])
    try:
        async with (
            setting(home, lanes=(lane,), lane_header=True) as placed,
            AsyncExitStack() as running,
        ):
            await until(lambda: placed.edge.stat(CANARY) == 1, "the canary is healthy")
            served = serve_http("127.0.0.1", analysis.port, {"/weights": analysis.page})
            await running.enter_async_context(served)
            url = f"http://127.0.0.1:{analysis.port}/weights"
            waits = {"drain_delay": 0, "grace": 1, "weights_timeout": 2}
            async with companion(admin=placed.edge.admin, weights_url=url, **waits):
                yield placed, analysis, running
    finally:
        await canary.stop()


async def share(placed: Setting, calls: int = 100) -> float:
    """The share of calls that the canary served; none may fail."""
    served = await lanes_of(placed, calls)
    assert served["200 canary"] + served["200 stable"] == calls
    return served["200 canary"] / calls


async def test_published_weights_are_in_force_within_two_seconds(tmp_path: Path) -> None:
    async with followed(tmp_path) as (placed, analysis, _):
        assert await share(placed) == 0
        # Half for the baseline, which this edge does not have.
        analysis.lanes.set_share(50)
        await until(lambda: is_share(placed, 1), "all calls are the canary's", seconds=10)
        analysis.lanes.set_share(25)
        await until(lambda: is_between(placed, 0.2, 0.5), "a third", seconds=10)
        # Less than one in a hundred.
        analysis.lanes.set_share(0.5)
        await until(lambda: is_between(placed, 0, 0.03), "one in 200", seconds=10)
        assert 0 < await share(placed, 2000) < 0.02


async def is_share(placed: Setting, expected: float) -> bool:
    return await share(placed, 20) == expected


async def is_between(placed: Setting, least: float, most: float) -> bool:
    return least <= await share(placed) <= most


@pytest.mark.parametrize("lost", ["gone", "no JSON", "negative"])
async def test_without_an_analysis_all_calls_are_stable(lost: str, tmp_path: Path) -> None:
    async with followed(tmp_path) as (placed, analysis, running):
        analysis.lanes.set_share(50)
        await until(lambda: is_share(placed, 1), "all calls are the canary's", seconds=10)
        if lost == "gone":
            await running.aclose()
        else:
            analysis.body = b"{" if lost == "no JSON" else b'{"weights": {"canary": -1}}'
        await until(lambda: is_share(placed, 0), "no call is the canary's", seconds=10)
        assert await share(placed) == 0


async def test_a_companion_that_restarts_takes_back_what_another_gave(tmp_path: Path) -> None:
    async with followed(tmp_path) as (placed, analysis, running):
        analysis.lanes.set_share(50)
        await until(lambda: is_share(placed, 1), "all calls are the canary's", seconds=10)
        await running.aclose()
        nowhere = f"http://127.0.0.1:{free_port()}/weights"
        waits = {"drain_delay": 0, "grace": 1, "weights_timeout": 1}
        async with companion(admin=placed.edge.admin, weights_url=nowhere, **waits):
            await until(lambda: is_share(placed, 0), "no call is the canary's", seconds=10)
