"""The parts of the benchmark: each starts what it needs, measures, and gives its tables."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rag_local.platform import platform
from tools.bench import report, search, tracing
from tools.bench.ab_platforms import RIVAL, checkout, pair, way
from tools.bench.fairness import fairness_rows
from tools.bench.growth import growth
from tools.bench.report import Sections
from tools.bench.turns import costs


@dataclass(frozen=True, slots=True)
class Options:
    """Folders of data and of models, seconds of each measurement, sizes of the growing index.

    `baseline` is another checkout that is measured beside this one, None for none.
    """

    home: Path
    models: Path
    seconds: float
    sizes: tuple[int, ...]
    baseline: Path | None

    @classmethod
    def from_environment(cls) -> "Options":
        """RAG_HOME, EMBEDDER_MODELS_DIR, BENCH_SECONDS, BENCH_SIZES and BASELINE. Raises ValueError."""
        root = Path(os.environ.get("RAG_HOME", ".rag"))
        sizes = os.environ.get("BENCH_SIZES") or "10000,100000"
        baseline = os.environ.get("BASELINE")
        return cls(
            home=root / "bench",
            models=Path(os.environ.get("EMBEDDER_MODELS_DIR", root / "models")).resolve(),
            seconds=float(os.environ.get("BENCH_SECONDS", "15")),
            sizes=tuple(int(size) for size in sizes.split(",")),
            baseline=Path(baseline).resolve() if baseline else None,
        )


@dataclass(frozen=True, slots=True)
class Part:
    """A part by its name; `says` is what it measures."""

    name: str
    says: str
    measure: Callable[[Options], Sections]


def _search(options: Options) -> Sections:
    """The platform as `make run` has it, between two measurements of the bare model."""
    before = search.bare(options.models, options.seconds / 2)
    with platform(options.home) as started:
        ways = [way("this checkout", started.services, options.home)]
        [result] = search.measured(ways, [started.services], options.seconds)
        gateway_ready = search.gateway_alone(options.home)
    after = search.bare(options.models, options.seconds / 2)
    return report.search_sections(search.mean_of(before, after), result, gateway_ready)


def _baseline(options: Options) -> Sections:
    """Two platforms side by side, in turns of a third of the seconds, as often as the costs' rounds."""
    assert options.baseline  # noqa: S101  # the part is chosen for it
    homes = options.home, options.home / "baseline"
    with platform(homes[0]) as own, checkout(options.baseline, homes[1]) as other:
        services = [own.services, other]
        names = "this checkout", "baseline"
        ways = [way(*each) for each in zip(names, services, homes, strict=True)]
        result = search.measured(ways, services, options.seconds / 3, search.ROUNDS)
    return {"This checkout and the baseline": list(report.baseline_rows(*result))}


def _growth(options: Options) -> Sections:
    with platform(options.home) as started:
        result = growth(options.home, started.services, started.access.target, options.sizes)
    return {"A growing index": list(report.growth_rows(result))}


def _edge(options: Options) -> Sections:
    with pair(options.home) as ways:
        result = costs(ways, options.seconds / 3)
    return {"What the edge costs": list(report.cost_rows(result))}


def _tracing(options: Options) -> Sections:
    with tracing.both(options.home) as ways:
        result = costs(ways, options.seconds / 3)
    return {"What tracing costs": list(report.cost_rows(result))}


def _fairness(options: Options) -> Sections:
    with platform(options.home) as started:
        modest = way("modest", started.services, options.home)
        rival = way("rival", started.services, options.home, tenant=RIVAL)
        rows = fairness_rows(modest, rival, options.seconds / 2)
    return {"One tenant beside another": rows}


PARTS = (
    Part("search", "the bare model and the platform: search, answers, ingest, memory", _search),
    Part("growth", "search as the index grows", _growth),
    Part("edge", "what the edge costs", _edge),
    Part("tracing", "what tracing costs", _tracing),
    Part("fairness", "one tenant beside another", _fairness),
)
BASELINE = Part("search", "this checkout and the baseline in alternating turns", _baseline)


def chosen(names: str, baseline: Path | None = None) -> list[Part]:
    """The parts of these names, separated by commas, in the order of PARTS; all if there is none.

    With a baseline the only part is `search`. Raises ValueError for any other name.
    """
    known = (BASELINE,) if baseline else PARTS
    expected = {name.strip() for name in names.split(",") if name.strip()}
    unknown = sorted(expected - {part.name for part in known})
    if unknown:
        there = ", ".join(part.name for part in known)
        raise ValueError(f"there is no part {', '.join(unknown)}; the parts are {there}")
    return [part for part in known if part.name in expected or not expected]


def measure(part: Part, options: Options) -> Sections:
    """Measure with an index that begins empty, and leave no data. Raises StartFailed, CalledProcessError."""
    shutil.rmtree(options.home, ignore_errors=True)
    try:
        return part.measure(options)
    finally:
        shutil.rmtree(options.home, ignore_errors=True)
