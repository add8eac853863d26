"""The part `search`: the bare model, and the platform's searches, answers, ingest, idling, memory and start."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag_embedder.models.prepare_model import BUILT_IN, prepared_directory
from rag_local.child import run
from rag_local.service_processes import SERVICES, ServiceProcess, run_services, wait_healthy
from tools.bench.load import COLLECTION, Result, Way, fill, load
from tools.bench.turns import PASSAGES, Searches, idle_percent, in_turns, memory_mib, searches

SEARCHES = (1, 32, 256)
STREAMS = (1, 8)
# Of two checkouts in turns.
ROUNDS = 6
_IDLE_SECONDS = 10.0


Bare = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Measured:
    """All of one platform, by rounds; searches and streamed answers by how many there are at once.

    `idle` is in percent of a core, `memory` in MiB after the load, `ready` in seconds from the start.
    """

    fills: Sequence[Result]
    searches: Mapping[int, Sequence[Searches]]
    streams: Mapping[int, Sequence[Result]]
    idle: Mapping[str, float]
    memory: Mapping[str, float]
    ready: Mapping[str, float]


def measured(
    ways: Sequence[Way],
    services: Sequence[Sequence[ServiceProcess]],
    seconds: float,
    rounds: int = 1,
) -> list[Measured]:
    """Each platform, in alternating turns of so many seconds; `services` are those of each way."""
    idle = [idle_percent(way.pids, _IDLE_SECONDS) for way in ways]
    # Searches are in the first collection; later rounds fill others.
    names = {
        way.name: iter([COLLECTION, *(f"{COLLECTION}-{n}" for n in range(rounds))]) for way in ways
    }
    fills = in_turns(ways, lambda way: fill(way, PASSAGES, next(names[way.name])), rounds)
    for way in ways:
        load("search", way, 4, min(seconds, 3))

    def searched(at_once: int) -> list[list[Searches]]:
        return in_turns(ways, lambda way: searches(way, at_once, seconds), rounds)

    def streamed(at_once: int) -> list[list[Result]]:
        return in_turns(ways, lambda way: load("stream", way, at_once, seconds), rounds)

    by_searches = {at_once: searched(at_once) for at_once in SEARCHES}
    by_streams = {at_once: streamed(at_once) for at_once in STREAMS}
    return [
        Measured(
            fills[place],
            {at_once: result[place] for at_once, result in by_searches.items()},
            {at_once: result[place] for at_once, result in by_streams.items()},
            idle[place],
            memory_mib(way.pids),
            {service.spec.name: service.ready_seconds for service in services[place]},
        )
        for place, way in enumerate(ways)
    ]


def gateway_alone(home: Path) -> float:
    """Seconds from starting another gateway beside its running peers until it is ready."""
    gateway = SERVICES[-1].shifted(100)
    with run_services(home / "second", {"RAG_HOME": str(home)}, [gateway]) as started:
        wait_healthy(started, 60)
        return started[0].ready_seconds


def bare(models: Path, seconds: float) -> Bare:
    """The model without any service, in a process of its own."""
    folder = prepared_directory(models, BUILT_IN, "int8")
    done = run(
        [sys.executable, "-m", "tools.bench.model_baseline", folder, str(seconds)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    result: Bare = json.loads(done.stdout)
    return result


def mean_of(first: Bare, second: Bare) -> Bare:
    """Two measurements of the bare model as one."""
    return {
        name: {key: (value + second[name][key]) / 2 for key, value in row.items()}
        for name, row in first.items()
    }
