"""The container beside Envoy drains it when it is asked to end, and that costs no call."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from rag_edge.edge_config import EdgeConfig
from rag_local.backends.envoy import Edge, edge
from rag_local.certificate_authority import Authority
from rag_local.program import free_port
from tests.component.edge.test_upstream import load
from tests.support.edge.balancer import Balancer, balancer
from tests.support.edge.companion import Companion, companion
from tests.support.edge.fixtures import QUIET, Setting, passes
from tests.support.edge.gateway import Gateway, Signer, gateway
from tests.support.observability.fixtures import threaded
from tests.support.waiting import until


def values(behind: Gateway, **changes: Any) -> EdgeConfig:
    """An edge before this gateway."""
    return replace(
        QUIET,
        gateways=[f"127.0.0.1:{behind.port}"],
        pages=[f"127.0.0.1:{behind.http_port}"],
        **changes,
    )


@asynccontextmanager
async def two_edges(home: Path) -> AsyncIterator[tuple[Setting, Balancer, list[Edge]]]:
    """Two edges before one gateway, and a load balancer before both, which the setting's clients call."""
    async with AsyncExitStack() as stack:
        signer = Signer()
        behind = await stack.enter_async_context(gateway())
        behind.keys = [signer.jwk]
        edges = []
        for folder in one_authority(home):
            started = threaded(edge(folder, values(behind, port=free_port())))
            edges.append(await stack.enter_async_context(started))
        before = await stack.enter_async_context(balancer(edges))
        await until(lambda: len(before.ready) == 2, "both edges are ready")
        yield Setting(replace(edges[0], port=before.port), behind, signer), before, edges


def one_authority(home: Path) -> list[Path]:
    """Two folders for edges with the same root of trust."""
    Authority(home / "authority")
    folders = [home / "first", home / "second"]
    for folder in folders:
        shutil.copytree(home / "authority", folder / "certificates" / "authority")
    return folders


@pytest.fixture
async def own_edge(tmp_path: Path) -> AsyncIterator[Setting]:
    """An edge of the test's own, which it may end."""
    async with gateway() as behind:
        signer = Signer()
        behind.keys = [signer.jwk]
        async with threaded(edge(tmp_path / "own", values(behind))) as started:
            placed = Setting(started, behind, signer)
            await until(lambda: passes(placed), "the edge passes calls on")
            yield placed


def beside(one: Edge) -> AbstractAsyncContextManager[Companion]:
    """A companion that drains this edge."""
    return companion(admin=one.admin, drain_delay=0.5, grace=20)


async def test_restarting_one_edge_after_the_other_under_load_fails_no_call(tmp_path: Path) -> None:
    async with two_edges(tmp_path) as (placed, before, edges), load(placed) as done:
        for one in edges:
            async with beside(one) as running:
                count = done.answered
                assert await running.terminate() == 0
            assert await asyncio.to_thread(one.process.wait, 5) == 0
            await until(lambda one=one: one.port not in before.ready, "the balancer has seen it")
            await until(lambda count=count: done.answered > count + 50, "calls without it")
            await asyncio.to_thread(one.restart)
            await until(lambda: len(before.ready) == 2, "it is back")
    assert not done.failures
    assert done.answered > 200


async def test_a_drain_waits_for_calls_that_run_and_ends_envoy_when_they_have_ended(
    own_edge: Setting,
) -> None:
    placed = own_edge
    free, begun = asyncio.Event(), asyncio.Event()

    async def held(_request: Any) -> None:
        begun.set()
        await free.wait()

    placed.gateway.does("GetIdentity", held)
    async with placed.http() as http, beside(placed.edge) as running:
        call = asyncio.create_task(http.get("/v1/identity", headers=placed.headers()))
        await begun.wait()
        ending = asyncio.create_task(running.terminate())
        await until(lambda: placed.edge.stat("http.edge.downstream_rq_active") == 1, "it runs")
        await asyncio.sleep(2.5)
        assert placed.edge.process.poll() is None
        free.set()
        assert (await call).status_code == 200
        assert await ending == 0
        assert await asyncio.to_thread(placed.edge.process.wait, 5) == 0


async def test_a_call_that_never_ends_is_waited_for_as_long_as_the_grace_lasts(
    own_edge: Setting,
) -> None:
    placed = own_edge
    begun = asyncio.Event()

    async def held(_request: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    placed.gateway.does("GetIdentity", held)
    settings = {"admin": placed.edge.admin, "drain_delay": 0, "grace": 1.5}
    async with placed.http() as http, companion(**settings) as running:
        call = asyncio.create_task(http.get("/v1/identity", headers=placed.headers()))
        await begun.wait()
        assert await running.terminate() == 0
        with pytest.raises(httpx.HTTPError):
            await call
    assert await asyncio.to_thread(placed.edge.process.wait, 5) == 0


async def test_a_companion_that_starts_again_ends_a_drain_that_was_broken_off(
    own_edge: Setting,
) -> None:
    placed = own_edge
    async with placed.http() as http, beside(placed.edge) as running:
        running.process.terminate()

        async def draining() -> bool:
            return (await http.get("/health/ready")).status_code == 503

        await until(draining, "the edge drains")
        running.process.kill()
    async with placed.http() as http, beside(placed.edge):
        assert (await http.get("/health/ready")).status_code == 200


async def test_an_edge_that_has_ended_already_needs_no_drain(tmp_path: Path) -> None:
    async with companion(admin=tmp_path / "nothing") as running:
        assert await running.terminate() == 0


async def test_an_edge_has_started_when_it_has_the_keys_of_tokens(tmp_path: Path) -> None:
    signer = Signer()
    async with gateway() as behind, threaded(edge(tmp_path / "own", values(behind))) as started:
        placed = Setting(started, behind, signer)

        async def status() -> int | None:
            page = await running.page("/health/started")
            return page.status_code if page else None

        async with beside(started) as running:
            await until(
                lambda: started.stat("http.edge.jwt_authn.jwks_fetch_failed") > 2,
                "keys are missing",
            )
            assert await status() == 503
            behind.keys = [signer.jwk]

            async def ready() -> bool:
                return await status() == 200

            await until(ready, "the edge has started")
            async with placed.http() as http:
                replies = [
                    await http.get("/v1/identity", headers=placed.headers()) for _ in range(20)
                ]
            assert {reply.status_code for reply in replies} == {200}
            behind.keys = []
            assert await status() == 200
