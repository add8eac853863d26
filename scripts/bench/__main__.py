"""The bare model, the platform, what its edge and tracing cost and whether it is fair, in one run: [OUTPUT]."""

import os
import sys
from pathlib import Path

from scripts.bench import costs, fairness, speed, tracing
from scripts.bench.pair import pair
from scripts.bench.report import Found, page

from rag_local.access import plain
from rag_local.platform import Platform, platform, prepare_model
from rag_local.processes import StartFailed

SECONDS = float(os.environ.get("BENCH_SECONDS", "15"))


def main() -> int:
    home = Path(os.environ.get("RAG_HOME", ".rag")) / "bench"
    models = Path(os.environ.get("EMBEDDER_MODELS_DIR", home.parent / "models"))
    os.environ["EMBEDDER_MODELS_DIR"] = str(models.resolve())
    output = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/benchmarks.md")
    try:
        report = page(measured(home, models))
    except StartFailed as error:
        sys.stderr.write(f"make bench: {error}\n")
        return 1
    output.write_text(report, "utf-8")
    print(report)
    return 0


def measured(home: Path, models: Path) -> Found:
    """Everything. Raises StartFailed."""
    prepare_model()
    before = speed.bare(models, SECONDS / 2)
    with platform(home) as started:
        found = measured_platform(home, started)
    say("what the edge costs")
    with pair(home / "pair") as ways:
        found.costs = costs.costs(ways, home / "pair" / "plain", seconds=SECONDS / 3)
    say("what tracing costs")
    with tracing.both(home / "tracing") as ways:
        found.traced = costs.costs(ways, home / "tracing", seconds=SECONDS / 3)
    found.bare = speed.mean(before, speed.bare(models, SECONDS / 2))
    return found


def measured_platform(home: Path, started: Platform) -> Found:
    """What one platform, as `make run` has it, shows."""
    services = started.services
    say("idle")
    idle = speed.idle_percent(services)
    load = speed.through_gateway(home, services, SECONDS)
    memory = {service.spec.name: speed.resident_mib(service) for service in services}
    ready = {service.spec.name: service.ready_seconds for service in services}
    ready["gateway"] = speed.gateway_alone(home)
    say("one tenant beside another")
    access = plain(home)
    shares = fairness.shares({**access.settings, "RAG_TARGET": access.target}, seconds=SECONDS / 2)
    return Found(load, idle, memory, ready, shares)


def say(what: str) -> None:
    sys.stderr.write(f"{what} …\n")


if __name__ == "__main__":
    sys.exit(main())
