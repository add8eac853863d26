"""Lanes: a share of the calls goes to another set of gateways, and none is lost if that set is ill."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from rag.gateway.v1 import answer_service_pb2 as answers
from rag.gateway.v1 import document_service_pb2 as documents
from rag.gateway.v1.answer_service_pb2_grpc import AnswerServiceStub
from rag.gateway.v1.document_service_pb2_grpc import DocumentServiceStub
from rag_common.settings import SettingsInvalid
from rag_contract import errors
from rag_edge.edge_config import EdgeConfig, Lane
from rag_local.program import free_port
from tests.component.edge.test_observing import line
from tests.component.edge.test_upstream import Replica, load
from tests.support.edge.fixtures import Setting, setting
from tests.support.edge.gateway import NOT_SERVING, Signer
from tests.support.waiting import until

STABLE, CANARY = "cluster.gateway.membership_healthy", "cluster.gateway_canary.membership_healthy"


@asynccontextmanager
async def lanes(home: Path, weight: int, **changes: Any) -> AsyncIterator[tuple[Setting, Replica]]:
    """An edge before a stable gateway, which is the setting's, and a canary."""
    canary = Replica(Signer())
    await canary.start()
    try:
        lane = Lane("canary", [f"127.0.0.1:{canary.state.port}"], weight)
        async with setting(home, lanes=(lane,), **changes) as placed:
            await until(lambda: placed.edge.stat(CANARY) == 1, "the canary is healthy")
            canary.state.heard.clear()
            yield placed, canary
    finally:
        await canary.stop()


async def lanes_of(placed: Setting, calls: int) -> Counter[str]:
    """Which lane served each of so many calls, by the header of the responses."""
    served: Counter[str] = Counter()
    async with placed.http() as http:
        for _ in range(calls):
            reply = await http.get("/v1/identity", headers=placed.headers())
            served[f"{reply.status_code} {reply.headers.get('x-rag-lane')}"] += 1
    return served


@pytest.mark.parametrize(("weight", "fewest", "most"), [(0, 0, 0), (30, 60, 180), (100, 400, 400)])
async def test_a_lane_gets_its_share_of_the_calls(
    tmp_path: Path, weight: int, fewest: int, most: int
) -> None:
    async with lanes(tmp_path, weight, lane_header=True) as (placed, canary):
        served = await lanes_of(placed, 400)
        assert fewest <= served["200 canary"] <= most
        assert served["200 canary"] + served["200 stable"] == 400
        assert len(canary.state.heard) == served["200 canary"]
        assert len(placed.gateway.heard) == served["200 stable"]


async def test_clients_are_not_told_the_lane_unless_configured(tmp_path: Path) -> None:
    async with lanes(tmp_path, 50) as (placed, _):
        assert await lanes_of(placed, 10) == {"200 None": 10}


async def writes_and_streams(placed: Setting, calls: int) -> None:
    """Calls that are never sent twice. Raises AioRpcError if one fails."""
    async with placed.channel() as channel:
        ingest, answer = DocumentServiceStub(channel), AnswerServiceStub(channel)
        for _ in range(calls):
            write: Any = ingest.IngestDocument(
                documents.IngestDocumentRequest(), metadata=placed.metadata()
            )
            await write
            stream: Any = answer.StreamAnswer(
                answers.StreamAnswerRequest(), metadata=placed.metadata()
            )
            assert [event async for event in stream] == []


async def test_without_a_healthy_gateway_in_the_lane_its_calls_go_to_the_stable_ones(
    tmp_path: Path,
) -> None:
    async with lanes(tmp_path, 90, lane_header=True) as (placed, canary):
        await canary.state.say(NOT_SERVING)
        await until(lambda: placed.edge.stat(CANARY) == 0, "the edge has seen it")
        canary.state.heard.clear()
        await writes_and_streams(placed, 20)
        assert await lanes_of(placed, 50) == {"200 stable": 50}
        assert not canary.state.heard


async def test_a_lane_that_never_started_takes_no_call_down(tmp_path: Path) -> None:
    nobody = Lane("canary", [f"127.0.0.1:{free_port()}", "nowhere.invalid:50051"], 90)
    async with setting(tmp_path, lanes=(nobody,), lane_header=True) as placed:
        await until(lambda: placed.edge.stat(STABLE) == 1, "the stable one is known")
        await writes_and_streams(placed, 20)
        assert await lanes_of(placed, 50) == {"200 stable": 50}


async def test_a_lane_that_dies_and_returns_under_load_fails_no_read(tmp_path: Path) -> None:
    async with lanes(tmp_path, 50) as (placed, canary), load(placed) as done:
        for _ in range(2):
            await until(lambda: canary.state.heard, "the canary serves")
            await canary.stop()
            before = done.answered
            await until(lambda before=before: done.answered > before + 200, "calls without it")
            canary.state.heard.clear()
            await canary.start()
            await until(lambda: placed.edge.stat(CANARY) == 1, "it is back")
    assert not done.failures


async def test_a_read_that_the_lane_fails_is_asked_again_of_the_stable_gateways(
    tmp_path: Path,
) -> None:
    async with lanes(tmp_path, 100, lane_header=True) as (placed, canary):
        canary.state.says("GetIdentity", errors.DependencyDown("no", retry_after=1.0))
        assert await lanes_of(placed, 5) == {"200 stable": 5}
        assert len(canary.state.heard) == 5


async def test_a_lane_that_only_fails_is_left_alone_for_a_while(tmp_path: Path) -> None:
    """Its only gateway too, unlike a stable one, as the stable ones take over."""
    async with lanes(tmp_path, 100) as (placed, canary):
        canary.state.says("IngestDocument", errors.DependencyDown("no", retry_after=1.0))
        assert all(await failures(placed))

        async def left_alone() -> bool:
            return not any(await failures(placed))

        await until(left_alone, "its writes go to the stable gateways")
        assert placed.edge.stat("cluster.gateway_canary.outlier_detection.ejections_enforced_total")


async def failures(placed: Setting) -> list[bool]:
    """Of five writes at once, whether each failed."""
    async with placed.channel() as channel:
        stub: Any = DocumentServiceStub(channel)
        request = documents.IngestDocumentRequest()
        calls = [stub.IngestDocument(request, metadata=placed.metadata()) for _ in range(5)]
        results = await asyncio.gather(*calls, return_exceptions=True)
    return [isinstance(result, grpc.aio.AioRpcError) for result in results]


async def test_the_access_log_names_the_lane_that_served_and_the_one_that_was_chosen(
    tmp_path: Path,
) -> None:
    async with lanes(tmp_path, 100) as (placed, canary), placed.http() as http:
        await http.get("/v1/identity", headers={"x-request-id": "l-1", **placed.headers()})
        await canary.state.say(NOT_SERVING)
        await until(lambda: placed.edge.stat(CANARY) == 0, "the edge has seen it")
        await http.get("/v1/identity", headers={"x-request-id": "l-2", **placed.headers()})
        first, second = await line(placed, "l-1"), await line(placed, "l-2")
        assert (first["cluster"], first["lane"]) == ("lane_canary", "canary")
        assert (second["cluster"], second["lane"]) == ("lane_canary", "stable")


async def test_each_lane_has_its_own_metrics_of_methods_and_their_status(tmp_path: Path) -> None:
    port = free_port()
    async with lanes(tmp_path, 100, metrics_port=port) as (placed, canary):
        canary.state.says("Search", errors.Internal("no"))
        async with placed.http() as http, httpx.AsyncClient() as scraper:
            for _ in range(3):
                await http.post("/v1/search", json={"query": "q"}, headers=placed.headers())
            await http.get("/v1/identity", headers=placed.headers())
            page = (await scraper.get(f"http://127.0.0.1:{port}/stats/prometheus")).text
    assert _value(page, "envoy_cluster_grpc_failure", "lane_canary", "Search") == 3
    assert _value(page, "envoy_cluster_grpc_success", "lane_canary", "GetIdentity") == 1
    assert _value(page, "envoy_cluster_grpc_total", "gateway", "Search") == 0


def _value(page: str, name: str, cluster: str, method: str) -> int:
    parts = (f'envoy_cluster_name="{cluster}"', f'envoy_grpc_bridge_method="{method}"')
    lines = [one for one in page.splitlines() if one.startswith(f"{name}{{")]
    return sum(int(one.split()[-1]) for one in lines if all(part in one for part in parts))


@pytest.mark.parametrize(
    ("lanes_text", "sentence"),
    [
        ('[[lanes]]\nname = "a"\ngateways = ["a:1"]\nweight = 101', r"lanes\[0\].weight: "),
        ('[[lanes]]\nname = "A-1"\ngateways = ["a:1"]', r"lanes\[0\].name: "),
        ('[[lanes]]\nname = "a"\ngateways = []', r"lanes\[0\].gateways: "),
        ('[[lanes]]\nname = "stable"\ngateways = ["a:1"]', "other than stable"),
        ('[[lanes]]\nname = "a"\ngateways = ["a:1"]\n' * 2, "must differ"),
        (
            '[[lanes]]\nname = "a"\ngateways = ["a:1"]\nweight = 60\n'
            '[[lanes]]\nname = "b"\ngateways = ["b:1"]\nweight = 41',
            "more than 100",
        ),
    ],
)
def test_invalid_lanes_are_reported(tmp_path: Path, lanes_text: str, sentence: str) -> None:
    path = tmp_path / "values.toml"
    path.write_text(lanes_text)
    with pytest.raises(SettingsInvalid, match=sentence):
        EdgeConfig.load(path)
