"""What the benchmark found as a page: docs/benchmarks.md."""

import os
import platform as machine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.bench.comparisons import cost_section, fairness_section, tracing_section
from scripts.bench.costs import Cost
from scripts.bench.fairness import Share
from scripts.bench.tables import table


@dataclass(slots=True)
class Found:
    """Everything that one run found: what `rag bench` says, and by service what it takes."""

    load: dict[str, Any]
    idle: dict[str, float]
    memory: dict[str, float]
    ready: dict[str, float]
    shares: list[Share]
    bare: dict[str, Any] = field(default_factory=dict)
    costs: list[Cost] = field(default_factory=list)
    traced: list[Cost] = field(default_factory=list)


def page(found: Found) -> str:
    """The whole page."""
    sections = [
        head(),
        bare_section(found.bare),
        search_section(found.bare, found.load),
        stream_section(found.load),
        cost_section(found.costs),
        tracing_section(found.traced),
        fairness_section(found.shares),
        ingest_section(found.bare, found.load),
        services_section(found.idle, found.memory, found.ready),
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


def cpu_name() -> str:
    rows = Path("/proc/cpuinfo").read_text().splitlines()
    return next(
        (r.partition(":")[2].strip() for r in rows if r.startswith("model name")), "unknown"
    )
