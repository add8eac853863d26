"""Regions of an edge and a scripted gateway each, and a global entry before them, all of them real."""

import json
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from rag.gateway.v1 import answer_service_pb2 as answers
from rag_edge.global_entry import EntryConfig, Region, write
from rag_local.backends.envoy import Edge, binary, edge
from rag_local.certificate_authority import Authority
from rag_local.child import end
from rag_local.program import free_port, start_logged, wait_ready
from tests.support.edge.fixtures import QUIET
from tests.support.edge.gateway import Gateway, Signer, gateway
from tests.support.observability.fixtures import threaded

NAME = "localhost"


@dataclass
class LightRegion:
    """A region: its name, its edge, and the gateway behind it, whose answers name the region."""

    name: str
    edge: Edge
    gateway: Gateway

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its edge: SIGKILL, or SIGSTOP for a region that is silent."""
        self.edge.process.send_signal(number)


@asynccontextmanager
async def light_region(home: Path, name: str, signer: Signer) -> AsyncIterator[LightRegion]:
    """A region whose searches give the query back as a passage, with the region's name."""

    async def search(request: answers.SearchRequest) -> answers.SearchResponse:
        reply = answers.SearchResponse()
        reply.provenance.region = name
        reply.passages.add().passage.text = request.query
        return reply

    async with gateway() as behind:
        behind.keys = [signer.jwk]
        behind.does("Search", search)
        values = replace(
            QUIET,
            port=free_port(),
            region=name,
            gateways=[f"127.0.0.1:{behind.port}"],
            pages=[f"127.0.0.1:{behind.http_port}"],
        )
        folder = home / name
        shutil.copytree(home / "authority", folder / "certificates" / "authority")
        async with threaded(edge(folder, values)) as started:
            yield LightRegion(name, started, behind)


@dataclass
class Entry:
    """A running global entry."""

    port: int
    admin: str
    folder: Path

    def stats(self) -> dict[str, int]:
        """Its gauges and counters of the regions' cluster."""
        page = self._get("/stats?format=json&filter=^cluster.regions")
        return {one["name"]: one["value"] for one in json.loads(page)["stats"] if "name" in one}

    def healthy(self) -> set[int]:
        """The ports of the edges that it takes for healthy."""
        statuses = json.loads(self._get("/clusters?format=json"))["cluster_statuses"]
        return {
            host["address"]["socket_address"]["port_value"]
            for status in statuses
            for host in status.get("host_statuses", [])
            if host["health_status"].keys() == {"eds_health_status"}
        }

    def connections(self) -> list[dict[str, Any]]:
        """The lines of its log: one for each connection that has ended."""
        lines = (self.folder / "access.log").read_text("utf-8").splitlines()
        return [json.loads(one) for one in lines]

    def _get(self, path: str) -> str:
        transport = httpx.HTTPTransport(uds=self.admin)
        with httpx.Client(transport=transport, base_url="http://entry", timeout=5) as client:
            return client.get(path).text


@contextmanager
def entry(
    home: Path, regions: Sequence[tuple[str, int]], roots: Path, **changes: Any
) -> Iterator[Entry]:
    """Run a global entry before the edges at these ports, the nearest region first."""
    folder, sockets = home / "entry", Path(tempfile.mkdtemp(prefix="rag-entry-"))
    config = EntryConfig(
        regions=[Region(name, [f"127.0.0.1:{port}"]) for name, port in regions],
        server_name=NAME,
        host="127.0.0.1",
        port=free_port(),
        roots=str(roots),
        admin=str(sockets / "admin"),
        access_log=str(folder / "access.log"),
        **changes,
    )
    path, log = write(folder, config), folder / "envoy.log"
    command = [binary(), "--config-path", str(path), "--concurrency", "2", "--disable-hot-restart"]
    process = start_logged([*command, "--file-flush-interval-msec", "200"], log)
    made = Entry(config.port, config.admin, folder)
    try:
        wait_ready(process, "the global entry", log, lambda: _live(made), 20.0)
        yield made
    finally:
        end(process, 10)
        shutil.rmtree(sockets, ignore_errors=True)


@asynccontextmanager
async def two_regions(
    home: Path, **changes: Any
) -> AsyncIterator[tuple[Entry, LightRegion, LightRegion, Signer]]:
    """Two light regions with one root of trust and one issuer of tokens, and an entry before them."""
    signer = Signer()
    Authority(home / "authority")
    async with AsyncExitStack() as stack:
        first, second = [
            await stack.enter_async_context(light_region(home, name, signer))
            for name in ("near", "far")
        ]
        places = [(one.name, one.edge.port) for one in (first, second)]
        started = threaded(entry(home, places, first.edge.ca, **changes))
        yield await stack.enter_async_context(started), first, second, signer


def _live(made: Entry) -> bool:
    try:
        return made._get("/ready").strip() == "LIVE"
    except httpx.HTTPError:
        return False
