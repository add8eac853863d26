"""Speed on this machine, the bare model and the platform in one run: bench.py [OUTPUT]."""

import json
import os
import platform as machine
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rag_embedder.library import BUILT_IN, prepared
from rag_local.platform import platform, prepare_model
from rag_local.processes import Running, Spec, StartFailed, running, wait_healthy

SECONDS = os.environ.get("BENCH_SECONDS", "15")
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> int:
    home = Path(os.environ.get("RAG_HOME", ".rag")) / "bench"
    models = Path(os.environ.get("EMBEDDER_MODELS_DIR", home.parent / "models"))
    os.environ["EMBEDDER_MODELS_DIR"] = str(models)
    output = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/benchmarks.md")
    try:
        prepare_model()
        before = bare(models)
        with platform(home) as (services, _):
            idle = idle_percent(services)
            load = through_gateway(home, services)
            services_found = {service.spec.name: resident_mib(service) for service in services}
            ready = {service.spec.name: service.ready_seconds for service in services}
            ready["gateway"] = gateway_alone(home)
        after = bare(models)
    except StartFailed as error:
        sys.stderr.write(f"make bench: {error}\n")
        return 1
    report = page(mean(before, after), load, idle, services_found, ready)
    output.write_text(report, "utf-8")
    print(report)
    return 0


def bare(models: Path) -> dict[str, Any]:
    """The model without any service, in a process of its own."""
    sys.stderr.write("the bare model …\n")
    folder = prepared(models, BUILT_IN, "int8")
    script = Path(__file__).with_name("bare.py")
    done = subprocess.run(
        [sys.executable, script, folder, str(float(SECONDS) / 2)],
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def mean(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Both runs, before the platform's and after it, as one."""
    return {
        name: {key: (value[key] + second[name][key]) / 2 for key in value}
        for name, value in first.items()
        if isinstance(value, dict)
    }


def idle_percent(services: Sequence[Running], seconds: float = 10.0) -> dict[str, float]:
    """CPU of each service with nothing to do, in percent of a core."""
    sys.stderr.write("idle …\n")
    before = {service.spec.name: ticks(service) for service in services}
    time.sleep(seconds)
    return {
        service.spec.name: (ticks(service) - before[service.spec.name]) / TICKS / seconds * 100
        for service in services
    }


def gateway_alone(home: Path) -> float:
    """Seconds from starting another gateway to its being ready, its peers being there."""
    spec = Spec("gateway", 50151, 50161)
    environment = {
        "RAG_HOME": str(home),
        "GATEWAY_PORT": str(spec.port),
        "GATEWAY_HEALTH_PORT": str(spec.health_port),
    }
    with running(home / "second", environment, [spec]) as started:
        wait_healthy(started, 60)
        return started[0].ready_seconds


def ticks(service: Running) -> int:
    fields = Path(f"/proc/{service.process.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def resident_mib(service: Running) -> float:
    rows = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    return next(int(row.split()[1]) / 1024 for row in rows if row.startswith("VmRSS"))


def through_gateway(home: Path, services: Sequence[Running]) -> dict[str, Any]:
    """What `rag bench` finds."""
    pids = [f"--pid={service.spec.name}={service.process.pid}" for service in services]
    done = subprocess.run(
        [Path(sys.executable).with_name("rag"), "bench", "--json", "--seconds", SECONDS, *pids],
        env={**os.environ, "RAG_HOME": str(home)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def page(
    bare: dict[str, Any],
    load: dict[str, Any],
    idle: dict[str, float],
    memory: dict[str, float],
    ready: dict[str, float],
) -> str:
    """docs/benchmarks.md."""
    sections = [
        head(),
        bare_section(bare),
        search_section(bare, load),
        stream_section(load),
        ingest_section(bare, load),
        services_section(idle, memory, ready),
    ]
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def head() -> list[str]:
    return [
        "# Benchmarks",
        "",
        f"Made by `make bench` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores of "
        f"{cpu_name()}, Python {machine.python_version()}. Client, services and index share those "
        "cores. The ratios mean more than the rates: everything is from one run, and the bare model "
        "was measured before and after the platform.",
    ]


def bare_section(bare: dict[str, Any]) -> list[str]:
    rows = [
        [name.replace("_", " "), *(f"{row[key]:.1f}" for key in ("rate", "p50_ms", "cpu_ms"))]
        for name, row in bare.items()
    ]
    return [
        "## The bare model",
        "",
        "multilingual-e5-small in int8 on ONNX Runtime, one text a call, tokenising included.",
        "",
        *table(["setting", "texts/s", "p50 ms", "CPU ms/text"], rows),
    ]


def search_section(bare: dict[str, Any], load: dict[str, Any]) -> list[str]:
    best = max(bare[name]["rate"] for name in bare if name.startswith("query"))
    alone = min(bare[name]["p50_ms"] for name in bare if name.startswith("query_1_caller"))
    model_cpu = bare["query_1_caller_a_core"]["cpu_ms"]
    names = ["at once", "searches/s", "of the bare model", "p50 ms", "p95 ms", "p99 ms", "errors"]
    spent = ["CPU ms/search", "not the model", "gateway", "embedder", "retriever"]
    return [
        "## Search through the gateway",
        "",
        "Hybrid, 50 candidates a list, 10 passages back; every question is a new one. “Not the model” "
        "is the CPU of all services less the bare model's; the client's own comes on top.",
        "",
        *table([*names, *spent], [search_row(row, best, model_cpu) for row in load["searches"]]),
        "",
        f"At concurrency 1 the bare model's best p50 is {alone:.1f} ms.",
    ]


def stream_section(load: dict[str, Any]) -> list[str]:
    times = ["first event p50 ms", "first words p50 ms", "last event p50 ms", "last event p95 ms"]
    return [
        "## StreamAnswer, extractive",
        "",
        *table(["at once", "answers", *times, "errors"], [stream_row(r) for r in load["streams"]]),
    ]


def ingest_section(bare: dict[str, Any], load: dict[str, Any]) -> list[str]:
    fill, alone = load["fill"], bare["passage_1_caller_a_core"]["rate"]
    return [
        "## Ingest",
        "",
        f"{fill['passages']} passages of up to 300 tokens: {fill['rate']:.1f}/s; the bare model, "
        f"on the texts they were cut from: {alone:.1f}/s.",
    ]


def services_section(
    idle: dict[str, float], memory: dict[str, float], ready: dict[str, float]
) -> list[str]:
    rows = [
        [name, f"{ready[name]:.1f}", f"{memory[name]:.0f}", f"{idle[name]:.2f}"] for name in memory
    ]
    return [
        "## Services",
        "",
        "Ready: seconds from starting all at once; for the gateway, from starting another one beside its "
        "peers.",
        "",
        *table(["service", "ready after s", "memory MiB after the run", "idle, % of a core"], rows),
    ]


def search_row(row: dict[str, Any], best: float, model_cpu: float) -> list[str]:
    latency = row["latency"]
    cpu = sum(row["cpu_ms_per_query"].values())
    return [
        str(row["concurrency"]),
        f"{row['rate']:.1f}",
        f"{row['rate'] / best:.0%}",
        *(f"{latency[key]:.1f}" for key in ("p50", "p95", "p99")),
        str(sum(row["errors"].values())),
        f"{cpu:.1f}",
        f"{cpu - model_cpu:.1f}",
        *(f"{row['cpu_ms_per_query'][name]:.1f}" for name in ("gateway", "embedder", "retriever")),
    ]


def stream_row(row: dict[str, Any]) -> list[str]:
    return [
        str(row["concurrency"]),
        str(row["answers"]),
        f"{row['first_event']['p50']:.1f}",
        f"{row['first_delta']['p50']:.1f}",
        f"{row['last_event']['p50']:.1f}",
        f"{row['last_event']['p95']:.1f}",
        str(sum(row["errors"].values())),
    ]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"| {' | '.join('---' for _ in head)} |",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def cpu_name() -> str:
    rows = Path("/proc/cpuinfo").read_text().splitlines()
    return next(
        (r.partition(":")[2].strip() for r in rows if r.startswith("model name")), "unknown"
    )


if __name__ == "__main__":
    sys.exit(main())
