"""Clients that read again and again through a global entry, and what they got."""

import asyncio
import itertools
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx

from rag.gateway.v1 import answer_service_pb2 as answers
from rag.gateway.v1.answer_service_pb2_grpc import AnswerServiceStub
from rag_local.backends.envoy import Edge


@dataclass
class Reads:
    """The answers that clients got: when, from which region, and whether the content was right."""

    answers: list[tuple[float, str, bool]] = field(default_factory=list)
    failures: list[float] = field(default_factory=list)

    def regions(self, since: float) -> set[str]:
        """The regions that answered since then."""
        return {region for at, region, _ in self.answers if at >= since}

    def first_from(self, region: str, since: float) -> float:
        """Seconds from then to the first answer of the region; infinite if there is none."""
        times = [at - since for at, name, _ in self.answers if name == region and at >= since]
        return min(times, default=float("inf"))


@asynccontextmanager
async def reading(
    port: int,
    region: Edge,
    token: str,
    question: Callable[[int], str] = "question {}".format,
    expected: Callable[[str], str] = str,
) -> AsyncIterator[Reads]:
    """Eight clients that search again and again at the port: by gRPC on lasting channels, and by JSON.

    `question` gives a query of a number, and `expected` the first passage's text for a query: by default
    the query itself. The region's root of trust is that of all.
    """
    reads, over, numbers = Reads(), asyncio.Event(), itertools.count()
    bearer = f"Bearer {token}"
    credentials = grpc.ssl_channel_credentials(region.ca.read_bytes())
    own = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 500),
    ]

    async def repeat(search: Callable[[str], Any]) -> None:
        while not over.is_set():
            query = question(next(numbers))
            try:
                name, text = await search(query)
                reads.answers.append((time.monotonic(), name, text == expected(query)))
            except (grpc.aio.AioRpcError, httpx.HTTPError):
                reads.failures.append(time.monotonic())
            await asyncio.sleep(0.02)

    async def by_grpc(channel: grpc.aio.Channel, query: str) -> tuple[str, str]:
        stub: Any = AnswerServiceStub(channel)
        request = answers.SearchRequest(query=query)
        reply = await stub.Search(request, metadata=(("authorization", bearer),), timeout=10)
        return reply.provenance.region, reply.passages[0].passage.text

    async def by_json(client: httpx.AsyncClient, query: str) -> tuple[str, str]:
        headers = {"authorization": bearer}
        reply = await client.post("/v1/search", json={"query": query}, headers=headers)
        document = reply.raise_for_status().json()
        return document["provenance"]["region"], document["passages"][0]["passage"]["text"]

    trust = ssl.create_default_context(cafile=str(region.ca))
    address = f"localhost:{port}"
    channels = [grpc.aio.secure_channel(address, credentials, options=own) for _ in range(4)]
    clients = [
        httpx.AsyncClient(base_url=f"https://{address}", verify=trust, timeout=10) for _ in range(4)
    ]
    searches = [lambda query, channel=channel: by_grpc(channel, query) for channel in channels]
    searches += [lambda query, client=client: by_json(client, query) for client in clients]
    tasks = [asyncio.create_task(repeat(search)) for search in searches]
    try:
        yield reads
    finally:
        over.set()
        await asyncio.gather(*tasks)
        for opened in [*channels, *clients]:
            await (opened.close() if isinstance(opened, grpc.aio.Channel) else opened.aclose())
