"""The parts of the benchmark: each starts what it needs, measures, and writes its tables."""

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from rag_local.platform import Platform, platform
from rag_local.program import StartFailed
from tools.bench import faults, report, search, sustained, tracing
from tools.bench.ab_platforms import RIVAL, checkout, pair, trusted, way
from tools.bench.fairness import fairness_rows
from tools.bench.growth import SERVER, Growth, edge_engine, growth, server_engine
from tools.bench.load import Way, progress
from tools.bench.report import Row, Sections
from tools.bench.turns import costs
from tools.bench.users import users_rows


@dataclass(frozen=True, slots=True)
class Options:
    """Folders of data and of models, seconds of each measurement, sizes of the growing index.

    `baseline` is another checkout that is measured beside this one, None for none. `duration` is the
    length in seconds of the parts that are for minutes or hours, None for their own; every
    `interval` seconds a process is killed. The last two are where their summaries are written.
    """

    home: Path
    models: Path
    seconds: float
    sizes: tuple[int, ...]
    baseline: Path | None
    duration: float | None = None
    interval: float = 600.0
    load_json: Path = Path("build/load.json")
    faults_json: Path = Path("build/faults.json")

    @classmethod
    def from_environment(cls) -> "Options":
        """The values of RAG_HOME, EMBEDDER_MODELS_DIR, BENCH_*, BASELINE, DURATION, INTERVAL, *_JSON.

        Raises ValueError.
        """
        root = Path(os.environ.get("RAG_HOME", ".rag"))
        sizes = os.environ.get("BENCH_SIZES") or "10000,100000"
        baseline = os.environ.get("BASELINE")
        duration = os.environ.get("DURATION")
        return cls(
            home=root / "bench",
            models=Path(os.environ.get("EMBEDDER_MODELS_DIR", root / "models")).resolve(),
            seconds=float(os.environ.get("BENCH_SECONDS", "8")),
            sizes=tuple(int(size) for size in sizes.split(",")),
            baseline=Path(baseline).resolve() if baseline else None,
            duration=float(duration) if duration else None,
            interval=float(os.environ.get("INTERVAL") or 600),
            load_json=Path(os.environ.get("LOAD_JSON") or "build/load.json"),
            faults_json=Path(os.environ.get("FAULTS_JSON") or "build/faults.json"),
        )


# Takes tables as soon as they are measured; those of a title replace the former ones.
Write = Callable[[Sections], None]


@dataclass(frozen=True, slots=True)
class Part:
    """A part by its name; `says` is what it measures."""

    name: str
    says: str
    measure: Callable[[Options, Write], None]


def _search(options: Options, write: Write) -> None:
    """The platform as `make run` has it, with the bare model and three bare hops."""

    def measure(way: Way, started: Platform) -> tuple[search.Measured, float]:
        [result] = search.measured([way], [started.services], options.seconds / 2)
        return result, search.gateway_alone(options.home)

    reference, result = search.beside_reference(
        options.home, options.models, "int8", options.seconds, measure
    )
    write(report.search_sections(reference, *result))


def _fp32(options: Options, write: Write) -> None:
    """The searches of the part `search`, in fp32."""
    seconds = options.seconds / 2
    reference, found = search.beside_reference(
        options.home,
        options.models,
        "fp32",
        seconds,
        lambda way, _started: search.searches_only(way, seconds / 2),
    )
    write({"Search in fp32": report.search_rows(reference, found)})


def _baseline(options: Options, write: Write) -> None:
    """Two platforms side by side, in turns of half the seconds."""
    assert options.baseline  # noqa: S101  # the part is chosen for it
    homes = options.home, options.home / "baseline"
    with platform(homes[0], search.PATIENT) as own, checkout(options.baseline, homes[1]) as other:
        services = [own.services, other]
        names = "this checkout", "baseline"
        ways = [way(*each) for each in zip(names, services, homes, strict=True)]
        result = search.measured(ways, services, options.seconds / 2, search.ROUNDS)
    write({"This checkout and the baseline": list(report.baseline_rows(*result))})


def _growth(options: Options, write: Write) -> None:
    """On Edge; then on a server, if there is one."""
    found: list[Growth] = []

    def add(one: Growth) -> None:
        found.append(one)
        write({"A growing index": list(report.growth_rows(found))})

    with edge_engine(options.home) as edge:
        growth(options.home, edge, options.sizes, add)
    server, home = os.environ.get(SERVER), options.home / "server"
    if not server:
        progress(f"{SERVER} is not set: Edge only")
        return
    with server_engine(home, server) as engine:
        growth(home, engine, options.sizes, add)


def _users(options: Options, write: Write) -> None:
    found: list[Row] = []
    with (
        tracing.collector(options.home) as collector,
        trusted(options.home, collector) as (direct, edge),
    ):
        for row in users_rows(direct, edge, options.seconds):
            found.append(row)
            write({"1,000 users": found})


def _sustained(options: Options, write: Write) -> None:
    """Writes a summary as JSON as well."""
    with (
        tracing.collector(options.home) as collector,
        trusted(options.home, collector) as (direct, edge),
    ):
        found = sustained.sustained(direct, edge, options.duration or 600.0)
    report.write_summary(options.load_json, sustained.summary(found))
    write(
        {
            "Sustained load": sustained.phase_rows(found),
            "Memory under sustained load": sustained.memory_rows(found),
        }
    )


def _faults(options: Options, write: Write) -> None:
    """Writes a summary as JSON as well. Raises StartFailed if there is no time for a kill."""
    seconds = options.duration or 7200.0
    if seconds < options.interval:
        raise StartFailed("DURATION is shorter than INTERVAL: nothing would be killed")
    with tracing.collector(options.home) as collector:
        found = faults.campaign(options.home, collector, seconds, options.interval)
    report.write_summary(options.faults_json, faults.summary(found))
    write(
        {
            "Killed processes": faults.fault_rows(found),
            "A month of faults": faults.month_rows(found),
        }
    )


def _costs(
    title: str, ways: Callable[[Path], AbstractContextManager[list[Way]]]
) -> Callable[[Options, Write], None]:
    """A measurement of what searches cost by each of the ways."""

    def measure(options: Options, write: Write) -> None:
        with ways(options.home) as opened:
            result = costs(opened, options.seconds / 6)
        write({title: list(report.cost_rows(result))})

    return measure


def _fairness(options: Options, write: Write) -> None:
    with platform(options.home) as started:
        modest = way("modest", started.services, options.home)
        rival = way("rival", started.services, options.home, tenant=RIVAL)
        rows = fairness_rows(modest, rival, options.seconds / 4)
    write({"One tenant beside another": rows})


PARTS = (
    Part("search", "the bare model, bare hops and the platform: search, answers, ingest", _search),
    Part("fp32", "search in fp32", _fp32),
    Part("users", "1,000 users through the edge", _users),
    Part("growth", "search as the index grows", _growth),
    Part("edge", "what the edge costs", _costs("What the edge costs", pair)),
    Part("tracing", "what tracing costs", _costs("What tracing costs", tracing.variants)),
    Part("fairness", "one tenant beside another", _fairness),
)
# By name only: they take ten minutes or hours.
LONG = (
    Part("load", "1,000 users for minutes, then ten times their questions", _sustained),
    Part("faults", "processes killed one after the other under load", _faults),
)
BASELINE = Part("search", "this checkout and the baseline in alternating turns", _baseline)


def chosen(names: str, baseline: Path | None = None) -> list[Part]:
    """The parts of these names, separated by commas, in the order of PARTS and LONG; all of PARTS if none.

    With a baseline the only part is `search`. Raises ValueError for any other name.
    """
    known = (BASELINE,) if baseline else (*PARTS, *LONG)
    expected = {name.strip() for name in names.split(",") if name.strip()}
    unknown = sorted(expected - {part.name for part in known})
    if unknown:
        there = ", ".join(part.name for part in known)
        raise ValueError(f"there is no part {', '.join(unknown)}; the parts are {there}")
    if not expected:
        return [part for part in known if part not in LONG]
    return [part for part in known if part.name in expected]


def measure(part: Part, options: Options, write: Write) -> None:
    """Measure with an index that begins empty, and leave no data. Raises StartFailed, CalledProcessError."""
    shutil.rmtree(options.home, ignore_errors=True)
    try:
        part.measure(options, write)
    finally:
        shutil.rmtree(options.home, ignore_errors=True)
