"""Two regions, each with the whole platform, and the global entry before them: one of them dies."""

import asyncio
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from rag_local import dev_keys
from rag_local.backends.envoy import Edge, edge
from rag_local.certificate_authority import Authority
from rag_local.program import free_port
from tests.e2e.callers import Caller
from tests.e2e.platform import Platform
from tests.support.edge.entry import Entry, entry
from tests.support.edge.fixtures import QUIET
from tests.support.edge.reads import reading
from tests.support.observability.fixtures import threaded
from tests.support.parts import prepared_models
from tests.support.waiting import until

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "ko"
QUESTIONS = ["연차휴가는 며칠까지 이월할 수 있나요?", "출장비는 언제까지 정산해야 하나요?"]
FAILOVER_SECONDS = 10.0


@dataclass
class Region:
    """A platform and its edge, with the first passage that it finds for each question."""

    name: str
    platform: Platform
    edge: Edge
    passages: dict[str, str]

    def kill(self) -> None:
        """End all of it without a chance to tidy up."""
        self.edge.process.send_signal(signal.SIGKILL)
        for service in self.platform.specs:
            self.platform.kill(service)

    def revive(self) -> None:
        """Start all of it again, with its data."""
        self.platform.revive()
        self.edge.process.wait()
        self.edge.restart()


async def region(stack: AsyncExitStack, home: Path, name: str) -> Region:
    """Start a region that has the sample documents; all have one issuer and one root of trust."""
    folder = home / name
    shutil.copytree(home / "keys", folder / "platform" / "keys")
    shutil.copytree(home / "authority", folder / "certificates" / "authority")
    variables = {"EMBEDDER_MODELS_DIR": str(prepared_models())}
    for service in ("GATEWAY", "EMBEDDER", "RETRIEVER", "GENERATOR"):
        variables[f"{service}_REGION"] = name
    platform = await stack.enter_async_context(threaded(Platform(folder / "platform", variables)))
    gateway = platform.specs["gateway"]
    values = replace(
        QUIET,
        port=free_port(),
        region=name,
        gateways=[f"127.0.0.1:{gateway.port}"],
        pages=[f"127.0.0.1:{gateway.http_port}"],
    )
    started = await stack.enter_async_context(threaded(edge(folder, values)))
    return Region(name, platform, started, await passages(platform))


async def passages(platform: Platform) -> dict[str, str]:
    """Ingest the samples; return the first passage's text for each question."""
    async with grpc.aio.insecure_channel(platform.target) as channel:
        caller = Caller(channel, platform.token("samples"))
        for path in sorted(SAMPLES.iterdir()):
            await caller.ingest(f"ko/{path.name}", path.read_bytes(), filename=path.name)
        found = [await caller.search(question) for question in QUESTIONS]
    return {
        question: reply.passages[0].passage.text
        for question, reply in zip(QUESTIONS, found, strict=True)
    }


@pytest_asyncio.fixture(scope="module")
async def regions(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Entry, Region, Region]]:
    """Two regions and the entry before them."""
    home = tmp_path_factory.mktemp("regions")
    Authority(home / "authority")
    dev_keys.ensure(home / "keys")
    async with AsyncExitStack() as stack:
        near, far = [await region(stack, home, name) for name in ("near", "far")]
        places = [(one.name, one.edge.port) for one in (near, far)]
        placed = await stack.enter_async_context(threaded(entry(home, places, near.edge.ca)))
        yield placed, near, far


async def test_a_region_that_dies_is_replaced_by_the_next_one_with_right_answers(
    regions: tuple[Entry, Region, Region], record_property: Callable[[str, object], None]
) -> None:
    placed, near, far = regions
    assert near.passages == far.passages
    both = {near.edge.port, far.edge.port}
    await until(lambda: placed.healthy() == both, "both regions are healthy")
    load = {"question": lambda n: QUESTIONS[n % len(QUESTIONS)], "expected": near.passages.get}
    token = near.platform.token("samples")
    async with reading(placed.port, near.edge, token, **load) as reads:
        await until(lambda: len(reads.answers) > 50, "the near region serves")
        assert reads.regions(0) == {"near"}
        died = time.monotonic()
        await asyncio.to_thread(near.kill)
        await until(lambda: placed.healthy() == {far.edge.port}, "the entry has seen it")
        moved, count = time.monotonic(), len(reads.answers)
        await until(lambda: len(reads.answers) > count + 50, "the far region serves")
        assert reads.regions(moved) == {"far"}
        await asyncio.to_thread(near.revive)
        await until(lambda: placed.healthy() == both, "the near region is back")
    assert [right for _, _, right in reads.answers].count(False) == 0
    record_property("failover_seconds", round(reads.first_from("far", died), 2))
    record_property("failed_reads", len(reads.failures))
    assert reads.first_from("far", died) < FAILOVER_SECONDS
    assert not [at for at in reads.failures if at < died or at > died + FAILOVER_SECONDS]
    back = time.monotonic()
    async with reading(placed.port, near.edge, token, **load) as reads:
        await until(lambda: len(reads.answers) > 20, "new clients are served")
    assert reads.regions(back) == {"near"}
    assert [right for _, _, right in reads.answers].count(False) == 0
