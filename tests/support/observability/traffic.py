"""A run that metrics can be read from: the services behind an edge, all kinds of calls, and an outage."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import grpc
import httpx

import rag_gateway
from rag.gateway.v1.options_pb2 import GenerationOptions
from rag_edge.edge_config import EdgeConfig
from rag_local.backends.envoy import Edge, edge
from rag_local.backends.prometheus import Prometheus, prometheus
from rag_local.program import free_port
from tests.e2e.callers import Caller
from tests.e2e.platform import Platform
from tests.support.generator.neighbour import Reply, finish, serving, words
from tests.support.observability.fixtures import threaded
from tests.support.receiver import by_grpc
from tests.support.redis import RedisServer, redis_server
from tests.support.waiting import until

LIMITS = Path(rag_gateway.__file__).with_name("quotas") / "limits.toml"

QUESTION = "When does the warehouse in Paju open?"
DOCUMENT = "# Warehouse\n\nThe warehouse in Paju opens at seven in the morning.\n"
MODEL = "scripted"
# Two calls, and one more every hour.
TIGHT = "\n[tiers.tight.tenant]\nrequests = { capacity = 2, refill_per_second = 0.0003 }\n"
# It fires from the first moment on, as an alert of the platform's does only in trouble.
FIRING = '{"groups": [{"name": "tried", "rules": [{"alert": "Tried", "expr": "vector(1)"}]}]}'


@dataclass
class Traffic:
    """Calls through the edge, round after round, and what measures them."""

    platform: Platform
    edge: Edge
    prometheus: Prometheus
    queries: httpx.AsyncClient
    channel: grpc.aio.Channel
    neighbours: AsyncExitStack
    redis: RedisServer
    _rounds: "count[int]" = field(default_factory=lambda: count(1))

    async def round(self) -> None:
        """Calls of every kind, those that are refused included; an outage fails none of the others."""
        caller = self._caller("samples")
        for document in ("same", f"new-{next(self._rounds)}"):
            await caller.ingest(document, DOCUMENT, filename="warehouse.md")
        await caller.search(QUESTION)
        await caller.ask(QUESTION)
        await caller.events(QUESTION)
        await caller.ask(QUESTION, generation=GenerationOptions(model=MODEL))
        await self._caller("nothing-in-it").search(QUESTION)
        await self._refused()

    async def scraped(self) -> None:
        """Return when Prometheus has read every page once more."""
        query, pages = f"timestamp(up) > {time.time()}", len(self.platform.specs) + 1

        async def complete() -> bool:
            return len(await self.query(query)) == pages

        await until(complete, "every page is read", seconds=30)

    async def query(self, expr: str) -> list[float]:
        """The current value of each series of an expression."""
        reply = await self.queries.get("/api/v1/query", params={"query": expr})
        return [float(one["value"][1]) for one in reply.raise_for_status().json()["data"]["result"]]

    async def outage(self) -> None:
        """From now on the language model, Redis and the receiver of traces are unavailable."""
        self.redis.kill()
        await self.neighbours.aclose()

    async def _refused(self) -> None:
        for caller in (self._caller("tight", tier="tight"), Caller(self.channel, "no token")):
            with suppress(grpc.aio.AioRpcError):
                await caller.search(QUESTION)
        async with grpc.aio.insecure_channel(self.platform.target) as behind:
            for caller in (Caller(behind, "no token"), Caller(behind, self.platform.token("t"))):
                with suppress(grpc.aio.AioRpcError):
                    await caller.search("")

    def _caller(self, tenant: str, **claims: str) -> Caller:
        return Caller(self.channel, self.platform.token(tenant, **claims))


@asynccontextmanager
async def traffic(home: Path, models: Path, rules: list[Path]) -> AsyncIterator[Traffic]:
    """Everything started and ready, and measured once a second."""
    async with AsyncExitStack() as stack:
        neighbours = await stack.enter_async_context(AsyncExitStack())
        redis = stack.enter_context(redis_server())
        settings = await _settings(home, models, redis, neighbours)
        platform = await stack.enter_async_context(threaded(Platform(home / "platform", settings)))
        values = _values(platform)
        front = await stack.enter_async_context(threaded(edge(home, values)))
        measured = await stack.enter_async_context(
            threaded(_prometheus(home, platform, values, rules))
        )
        credentials = grpc.ssl_channel_credentials(front.ca.read_bytes())
        channel = grpc.aio.secure_channel(f"localhost:{front.port}", credentials)
        await stack.enter_async_context(channel)
        queries = httpx.AsyncClient(base_url=measured.url, timeout=30.0, trust_env=False)
        await stack.enter_async_context(queries)
        created = Traffic(platform, front, measured, queries, channel, neighbours, redis)
        await until(lambda: _passes(created), "the edge passes calls on")
        yield created
        # None of them has work to finish, and draining takes long without those that it calls.
        for name in platform.specs:
            await asyncio.to_thread(platform.kill, name)


async def _settings(
    home: Path, models: Path, redis: RedisServer, neighbours: AsyncExitStack
) -> dict[str, str]:
    answer = Reply(events=(*words("It opens at seven in the morning [1]."), *finish("stop")))
    model = await neighbours.enter_async_context(serving(answer))
    receiver = neighbours.enter_context(by_grpc())
    tiers, stamp = home / "limits.toml", home / "backup"
    tiers.write_text(LIMITS.read_text("utf-8") + TIGHT, "utf-8")
    stamp.touch()
    (home / "platform").mkdir()
    return {
        "EMBEDDER_MODELS_DIR": str(models),
        "GATEWAY_REDIS_URL": redis.url,
        "GATEWAY_LIMITS_FILE": str(tiers),
        "RETRIEVER_BACKUP_STAMP": str(stamp),
        "GENERATOR_OPENAI_URL": model.url,
        "GENERATOR_OPENAI_MODELS": MODEL,
        "GENERATOR_OPENAI_RETRIES": "1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    }


def _values(platform: Platform) -> EdgeConfig:
    gateway = platform.specs["gateway"]
    return EdgeConfig(
        port=0,
        metrics_port=free_port(),
        gateways=[f"127.0.0.1:{gateway.port}"],
        pages=[f"127.0.0.1:{gateway.http_port}"],
    )


def _prometheus(
    home: Path, platform: Platform, values: EdgeConfig, rules: list[Path]
) -> AbstractContextManager[Prometheus]:
    firing = home / "firing.json"
    firing.write_text(FIRING)
    pages = [f"127.0.0.1:{spec.http_port}" for spec in platform.specs.values()]
    front = [f"127.0.0.1:{values.metrics_port}/stats/prometheus"]
    targets = {"rag": pages, "envoy": front}
    return prometheus(home, targets=targets, rules=[firing, *rules], interval=1.0)


def _passes(made: Traffic) -> bool:
    url = f"https://localhost:{made.edge.port}/v1/capabilities"
    headers = {"authorization": f"Bearer {made.platform.token('samples')}"}
    trust = ssl.create_default_context(cafile=str(made.edge.ca))
    reply = httpx.get(url, headers=headers, verify=trust, timeout=5.0, trust_env=False)
    return reply.status_code == httpx.codes.OK
