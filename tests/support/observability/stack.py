"""The programs of compose.yaml, started here: with its commands, and with the files as shipped.

Nothing is edited or copied: addresses and folders are given by the variables that the files name.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from rag_local.backends.prometheus import Prometheus
from rag_local.program import free_port, responds, run_until_ready
from tests.support.observability.deployed import HERE, SERVICES, filled
from tests.support.observability.fixtures import INSTALL
from tests.support.parts import server, tool

PATH = {"PATH": "/usr/bin:/bin"}
# The variables that name the programs, and what the programs are called.
OTELCOL, TEMPO, LOKI = PROGRAMS = (
    ("OTELCOL_SERVER", "otelcol"),
    ("TEMPO_SERVER", "tempo"),
    ("LOKI_SERVER", "loki"),
)


@dataclass(frozen=True, slots=True)
class Collector:
    """A collector that runs: `endpoint` takes OTLP by gRPC."""

    endpoint: str
    page: str
    log: Path

    def count(self, metric: str, **labels: str) -> float:
        """The sum of one of the collector's own metrics over the series with these labels."""
        expected = {f'{name}="{value}"' for name, value in labels.items()}
        total = 0.0
        for line in httpx.get(self.page, timeout=10, trust_env=False).text.splitlines():
            result = re.fullmatch(rf"{metric}\{{(.*)\}} (\S+)", line)
            if result and expected <= set(result[1].split(",")):
                total += float(result[2])
        return total


@dataclass(frozen=True, slots=True)
class Stack:
    """Tempo, Loki, Prometheus and the collector in front of them, and the folder of what they keep."""

    tempo: str
    loki: str
    prometheus: Prometheus
    collector: Collector
    folder: Path
    addresses: Mapping[str, str]

    def trace(self, trace_id: str) -> list[dict[str, Any]]:
        """The resource spans that Tempo has of a trace; none if it does not know it."""
        reply = self._get(f"{self.tempo}/api/v2/traces/{trace_id}").raise_for_status()
        result: list[dict[str, Any]] = reply.json().get("trace", {}).get("resourceSpans", [])
        return result

    def search(self, query: str) -> list[str]:
        """Ids of traces that Tempo finds by a TraceQL query."""
        reply = self._get(f"{self.tempo}/api/search", q=query, limit="100").raise_for_status()
        # Tempo writes an id without the zeros that it begins with.
        return [one["traceID"].zfill(32) for one in reply.json()["traces"]]

    def lines(self, query: str) -> list[dict[str, Any]]:
        """Streams that Loki finds by a LogQL query in the last hour."""
        url = f"{self.loki}/loki/api/v1/query_range"
        reply = self._get(url, query=query, limit="5000", since="1h").raise_for_status()
        result: list[dict[str, Any]] = reply.json()["data"]["result"]
        return result

    def configuration(self, store: str) -> Any:
        """All options that Tempo or Loki runs with."""
        url = f"{self.tempo}/status/config" if store == "tempo" else f"{self.loki}/config"
        # Tempo puts a line of its own before the document.
        return list(yaml.safe_load_all(self._get(url).raise_for_status().text))[-1]

    def flush(self) -> None:
        """Let Loki write what it holds in memory."""
        httpx.post(f"{self.loki}/flush", timeout=20, trust_env=False).raise_for_status()

    def _get(self, url: str, **parameters: str) -> httpx.Response:
        return httpx.get(url, params=parameters, timeout=20, trust_env=False)


def command(program: str, service: str, folder: Path) -> list[str]:
    """The program with the arguments that compose.yaml gives the service, on this machine's folders."""
    mounts = {}
    for entry in SERVICES[service]["volumes"]:
        source, target = entry.split(":")[:2]
        mounts[target] = HERE / source if source.startswith(".") else folder / source
    places = "|".join(sorted(map(re.escape, mounts), key=len, reverse=True))
    return [
        program,
        *(
            re.sub(rf"=({places})(?=/|$)", lambda found: f"={mounts[found[1]]}", filled(argument))
            for argument in SERVICES[service]["command"]
        ),
    ]


@contextmanager
def stack(folder: Path, **settings: str) -> Iterator[Stack]:
    """All of it, from when each program says that it is ready; `settings` are the collector's."""
    with ExitStack() as running:
        watching = running.enter_context(_prometheus(folder))
        addresses = {"PROMETHEUS_WRITE": f"{watching.url}/api/v1/write"}
        tempo, addresses["TEMPO_OTLP"] = running.enter_context(_tempo(folder, addresses))
        loki = running.enter_context(_loki(folder))
        addresses["LOKI_OTLP"] = f"{loki}/otlp"
        first = running.enter_context(collector(folder / "collector", addresses, **settings))
        yield Stack(tempo, loki, watching, first, folder, addresses)


@contextmanager
def collector(
    folder: Path, addresses: Mapping[str, str], file: str = "", **settings: str
) -> Iterator[Collector]:
    """A collector that sends to these addresses; of the shipped `file` if not as in compose.yaml."""
    folder.mkdir()
    ports = {name: str(free_port()) for name in ("GRPC", "HTTP", "HEALTH", "METRICS")}
    environment = {
        **PATH,
        **{
            name: filled(str(value)) for name, value in SERVICES["collector"]["environment"].items()
        },
        **{f"COLLECTOR_{name}_PORT": port for name, port in ports.items()},
        "COLLECTOR_LISTEN": "127.0.0.1",
        **addresses,
        **settings,
    }
    program = server(*OTELCOL)
    argv = command(program, "collector", folder)
    if file:
        argv = [program, f"--config={HERE / 'collector' / file}"]
    log = folder / "log"
    with run_until_ready(
        argv, lambda: responds(f"http://127.0.0.1:{ports['HEALTH']}/"), log, environment=environment
    ):
        endpoint = f"http://127.0.0.1:{ports['GRPC']}"
        yield Collector(endpoint, f"http://127.0.0.1:{ports['METRICS']}/metrics", log)


@contextmanager
def _tempo(folder: Path, addresses: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    data, http, otlp = folder / "tempo", free_port(), free_port()
    data.mkdir()
    environment = {
        **PATH,
        **addresses,
        "TEMPO_DATA": str(data),
        "TEMPO_LISTEN": "127.0.0.1",
        "TEMPO_HTTP_PORT": str(http),
        "TEMPO_GRPC_PORT": str(free_port()),
        "TEMPO_OTLP_PORT": str(otlp),
    }
    url = f"http://127.0.0.1:{http}"
    argv = command(server(*TEMPO), "tempo", folder)
    log = folder / "tempo.log"
    # It takes 15 s to stop, until its worker's question for a job is answered.
    with run_until_ready(
        argv, lambda: responds(f"{url}/ready"), log, environment=environment, grace=0
    ):
        yield url, f"127.0.0.1:{otlp}"


@contextmanager
def _loki(folder: Path) -> Iterator[str]:
    data, http = folder / "loki", free_port()
    data.mkdir()
    environment = {
        **PATH,
        "LOKI_DATA": str(data),
        "LOKI_LISTEN": "127.0.0.1",
        "LOKI_HTTP_PORT": str(http),
        "LOKI_GRPC_PORT": str(free_port()),
    }
    url = f"http://127.0.0.1:{http}"
    argv = command(server(*LOKI), "loki", folder)
    with run_until_ready(
        argv, lambda: responds(f"{url}/ready"), folder / "loki.log", environment=environment
    ):
        yield url


@contextmanager
def _prometheus(folder: Path) -> Iterator[Prometheus]:
    address = f"127.0.0.1:{free_port()}"
    argv = command(tool("prometheus", INSTALL), "prometheus", folder)
    started = Prometheus(f"http://{address}", folder)
    listening = [*argv, f"--web.listen-address={address}"]
    with run_until_ready(listening, lambda: responds(f"{started.url}/-/ready"), started.log):
        yield started
