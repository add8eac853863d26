"""Searches, answers, ingest, idling, memory and start of a platform, beside the bare model and bare hops."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rag_embedder.models.prepare_model import BUILT_IN, Precision, prepared_directory
from rag_local.child import run
from rag_local.platform import Platform, platform, prepare_model
from rag_local.service_processes import SERVICES, ServiceProcess
from tools.bench.ab_platforms import running, way
from tools.bench.bare_hops import bare_hops
from tools.bench.load import COLLECTION, Way, fill, load, progress
from tools.bench.result import Result
from tools.bench.turns import Searches, idle_percent, in_turns, memory_mib, searches

PASSAGES = 160
SEARCHES = (1, 32, 256)
STREAMS = (1, 8)
# Of two checkouts in turns.
ROUNDS = 6
_IDLE_SECONDS = 10.0
# Every search waits for its turn, however long: what is measured is what is answered, not refused.
PATIENT = {"GATEWAY_SEARCH_WAIT": "600", "GATEWAY_SEARCH_WAIT_OVERLOADED": "600"}

T = TypeVar("T")

Bare = Mapping[str, Mapping[str, float]]
# By how many there are at once, round by round.
BySize = Mapping[int, Sequence[Searches]]


@dataclass(frozen=True, slots=True)
class Reference:
    """What a platform's searches are compared with: the bare model, and three bare hops."""

    bare: Bare
    floor: BySize


@dataclass(frozen=True, slots=True)
class Measured:
    """All of one platform, by rounds; searches and streamed answers by how many there are at once.

    `idle` is in percent of a core, `memory` in MiB after the load, `ready` in seconds from the start.
    """

    fills: Sequence[Result]
    searches: BySize
    streams: Mapping[int, Sequence[Result]]
    idle: Mapping[str, float]
    memory: Mapping[str, float]
    ready: Mapping[str, float]


def beside_reference(
    home: Path,
    models: Path,
    precision: Precision,
    seconds: float,
    measure: Callable[[Way, Platform], T],
) -> tuple[Reference, T]:
    """What `measure` returns of a platform in that precision; the reference is measured around it."""
    embedder = {"EMBEDDER_PRECISION": precision}
    prepare_model(embedder)
    before = bare(models, precision, seconds / 4)
    with bare_hops(home / "logs") as hops:
        [floor] = by_size([hops], seconds / 3)
    with platform(home, {**embedder, **PATIENT}) as started:
        result = measure(way("the platform", started.services, home), started)
    after = bare(models, precision, seconds / 4)
    return Reference(mean_of(before, after), floor), result


def by_size(ways: Sequence[Way], seconds: float, rounds: int = 1) -> list[BySize]:
    """The searches of each way, in alternating turns of so many seconds."""

    def searched(at_once: int) -> list[list[Searches]]:
        return in_turns(ways, lambda way: searches(way, at_once, seconds), rounds)

    found = {at_once: searched(at_once) for at_once in SEARCHES}
    return [{n: result[place] for n, result in found.items()} for place in range(len(ways))]


def searches_only(way: Way, seconds: float) -> BySize:
    """The searches of one platform, which is filled first."""
    fill(way, PASSAGES // 2)
    load("search", way, 4, seconds / 3)
    return by_size([way], seconds)[0]


def measured(
    ways: Sequence[Way],
    services: Sequence[Sequence[ServiceProcess]],
    seconds: float,
    rounds: int = 1,
) -> list[Measured]:
    """Each platform, in alternating turns of so many seconds; `services` are those of each way."""
    progress("idle")
    idle = [idle_percent(way.pids, _IDLE_SECONDS) for way in ways]
    # Searches are in the first collection; later rounds fill others.
    names = {
        way.name: iter([COLLECTION, *(f"{COLLECTION}-{n}" for n in range(rounds))]) for way in ways
    }
    fills = in_turns(ways, lambda way: fill(way, PASSAGES, next(names[way.name])), rounds)
    for one in ways:
        load("search", one, 4, min(seconds, 3))
    found = by_size(ways, seconds, rounds)

    def streamed(at_once: int) -> list[list[Result]]:
        return in_turns(ways, lambda way: load("stream", way, at_once, seconds), rounds)

    by_streams = {at_once: streamed(at_once) for at_once in STREAMS}
    return [
        Measured(
            fills[place],
            found[place],
            {at_once: result[place] for at_once, result in by_streams.items()},
            idle[place],
            memory_mib(way.pids),
            {service.spec.name: service.ready_seconds for service in services[place]},
        )
        for place, way in enumerate(ways)
    ]


def gateway_alone(home: Path) -> float:
    """Seconds from starting another gateway beside its running peers until it is ready."""
    progress("starting another gateway")
    gateway = SERVICES[-1].shifted(100)
    with running(home / "second", [gateway], {"RAG_HOME": str(home)}) as [started]:
        return started.ready_seconds


def bare(models: Path, precision: Precision, seconds: float) -> Bare:
    """The model without any service, in a process of its own."""
    progress(f"the bare model in {precision}")
    folder = prepared_directory(models, BUILT_IN, precision)
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
