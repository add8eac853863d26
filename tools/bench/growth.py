"""What a search costs as the index grows, and what a passage takes of memory and disk, on either engine."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from rag.embedder.v1.embedder_service_pb2_grpc import EmbedderServiceStub
from rag.retriever.v1.retriever_service_pb2_grpc import RetrieverServiceStub
from rag_client.client.aio import AsyncClient
from rag_client.transport.channel import Gateway
from rag_local.child import end
from rag_local.platform import Platform, platform
from rag_local.program import free_port, responds, start_logged, wait_ready
from tools.bench.ab_platforms import pids_of
from tools.bench.bulk import COLLECTION, TENANT, Bulk, open_bulk
from tools.bench.load import dev_token, progress
from tools.bench.result import Percentiles
from tools.bench.turns import memory_mib
from tools.bench.wording import questions

# The variable that names the program of a Qdrant server.
SERVER = "QDRANT_SERVER"
_SEARCHES = 100
_READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine with an empty index: the process that has it in memory, and the folder that has it on disk."""

    name: str
    started: Platform
    pid: int
    folder: Path


@dataclass(frozen=True, slots=True)
class Growth:
    """An index of that many passages: seconds of writing its bulk, and from its end to the graph.

    `graph_seconds` is None if the bulk needed no build of the graph. The percentiles are of the stage
    `search`: of the first searches after the bulk, and with the graph. `memory` and `disk` are bytes a
    passage, of memory those that the empty index did not have.
    """

    engine: str
    passages: int
    bulk: int
    written_seconds: float
    graph_seconds: float | None
    after_bulk: Percentiles
    with_graph: Percentiles
    memory: float
    disk: float


@contextmanager
def edge_engine(home: Path) -> Iterator[Engine]:
    """Qdrant Edge, in the retriever. Raises StartFailed."""
    with platform(home) as started:
        yield Engine("Edge", started, pids_of(started.services)["retriever"], home / "index")


@contextmanager
def server_engine(home: Path, program: str) -> Iterator[Engine]:
    """A Qdrant server of this program beside the platform. Raises StartFailed."""
    folder, http, grpc = (home / "qdrant").resolve(), free_port(), free_port()
    folder.mkdir(parents=True)
    own = {
        "QDRANT__SERVICE__HOST": "127.0.0.1",
        "QDRANT__SERVICE__HTTP_PORT": str(http),
        "QDRANT__SERVICE__GRPC_PORT": str(grpc),
        "QDRANT__TELEMETRY_DISABLED": "true",
    }
    url, log = f"http://127.0.0.1:{http}", home / "qdrant.log"
    process = start_logged([program], log, env={**os.environ, **own}, cwd=folder)
    settings = {
        "RETRIEVER_ENGINE": "server",
        "RETRIEVER_QDRANT_URL": url,
        "RETRIEVER_QDRANT_GRPC_PORT": str(grpc),
    }
    try:
        wait_ready(process, "qdrant", log, lambda: responds(f"{url}/readyz"), _READY_SECONDS)
        with platform(home, settings) as started:
            yield Engine("server", started, process.pid, folder)
    finally:
        end(process, 10)


def growth(
    home: Path, engine: Engine, sizes: Sequence[int], report: Callable[[Growth], None]
) -> None:
    """One size after the other in one index, smallest first. `home` has the key of the tokens."""
    asyncio.run(_growth(home, engine, sizes, report))


async def _growth(
    home: Path, engine: Engine, sizes: Sequence[int], report: Callable[[Growth], None]
) -> None:
    ports = {service.name: service.spec.port for service in engine.started.services}
    target, token = engine.started.access.target, dev_token(home, TENANT)
    async with (
        Gateway(f"127.0.0.1:{ports['embedder']}").open_async() as to_embedder,
        Gateway(f"127.0.0.1:{ports['retriever']}").open_async() as to_retriever,
        AsyncClient(target, token=token) as client,
    ):
        bulk = await open_bulk(RetrieverServiceStub(to_retriever), EmbedderServiceStub(to_embedder))
        empty = _memory(engine)
        for size in sorted(sizes):
            report(await _grown(bulk, client, engine, size, empty))


async def _grown(
    bulk: Bulk, client: AsyncClient, engine: Engine, size: int, empty: float
) -> Growth:
    before, began = bulk.written, time.monotonic()
    progress(f"{engine.name}, {size:,} passages: writing")
    await bulk.write(size)
    written = time.monotonic()
    progress(f"{engine.name}, {size:,} passages: building the graph")
    graph = asyncio.create_task(bulk.optimized())
    after_bulk = await _search_stage(client)
    ready = await graph
    return Growth(
        engine=engine.name,
        passages=size,
        bulk=size - before,
        written_seconds=written - began,
        graph_seconds=None if ready is None else ready - written,
        after_bulk=after_bulk,
        with_graph=await _search_stage(client),
        memory=(_memory(engine) - empty) / size,
        disk=_disk(engine.folder) / size,
    )


async def _search_stage(client: AsyncClient) -> Percentiles:
    """The stage `search` of one search after the other."""
    milliseconds = []
    for text in islice(questions(), _SEARCHES):
        reply = await client.search(text, collections=[COLLECTION])
        milliseconds.append(reply.timings["search"] * 1000)
    return Percentiles.of(milliseconds)


def _memory(engine: Engine) -> float:
    return memory_mib({engine.name: engine.pid})[engine.name] * 2**20


def _disk(folder: Path) -> float:
    """Bytes on disk of the files below the folder; some may be removed meanwhile."""
    total = 0.0
    for directory, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(directory) / name).lstat().st_blocks * 512
    return total
