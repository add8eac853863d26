"""Tables of what was measured, and docs/benchmarks.md, whose prose is written by hand."""

import json
import os
import platform as machine
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean

from tools.bench.growth import Growth
from tools.bench.search import BySize, Measured, Reference
from tools.bench.turns import Cost, Extra, Searches

Row = Mapping[str, object]
# What a part measured: rows of a table, by the title of the section.
Sections = Mapping[str, Sequence[Row]]
PAGE = Path("docs/benchmarks.md")


def updated(page: str, tables: Mapping[str, str]) -> str:
    """The page with these tables, by title, in place of all below their sections' prose.

    Raises KeyError for a title that the page does not have.
    """
    for title, body in tables.items():
        before, heading, rest = page.partition(f"\n## {title}\n")
        if not heading:
            raise KeyError(title)
        section, following, after = rest.partition("\n## ")
        prose = section.partition("\nMeasured on ")[0].rstrip()
        above = f"{prose}\n" if prose else ""
        page = f"{before}{heading}{above}\n{body}\n{following}{after}"
    return f"{page.rstrip()}\n"


def update(path: Path, tables: Mapping[str, str]) -> None:
    """Replace the tables in the file in one step; a file that is not there begins as a copy of PAGE."""
    page = (path if path.exists() else PAGE).read_text("utf-8")
    draft = path.with_suffix(".draft")
    draft.write_text(updated(page, tables), "utf-8")
    draft.replace(path)


def write_summary(path: Path, figures: Mapping[str, object]) -> None:
    """Write figures as JSON, with the commit, the time and the number of cores."""
    path.parent.mkdir(parents=True, exist_ok=True)
    where = {
        "commit": _commit(),
        "date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "cores": os.cpu_count(),
    }
    path.write_text(json.dumps({**figures, **where}, indent=2) + "\n", "utf-8")


def _commit() -> str:
    """The commit of this checkout, with "+" if files have been changed; "unknown" without Git."""
    git = shutil.which("git") or "git"
    command = [git, "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return "unknown"
    return "unknown" if done.returncode else done.stdout.strip()


def rendered(rows: Sequence[Row]) -> str:
    """When and where it was measured, and the rows in Markdown."""
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((r.partition(":")[2].strip() for r in cpus if r.startswith("model name")), "unknown")
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(map(_cell, row.values()) for row in rows)]
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores of {cpu}, Python "
        f"{machine.python_version()}.\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)
    )


def _cell(value: object) -> str:
    if isinstance(value, Extra):
        return f"{value.mean:+.2f} ± {value.error:.2f}"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def search_sections(reference: Reference, found: Measured, gateway_ready: float) -> Sections:
    """Of one platform, the bare model and bare hops; `gateway_ready` as of search.gateway_alone."""
    bare = reference.bare
    fill, ready = found.fills[0], {**found.ready, "gateway": gateway_ready}
    return {
        "The bare model": [
            {
                "setting": name.replace("_", " "),
                "texts/s": row["rate"],
                "p50 ms": row["p50_ms"],
                "CPU ms/text": row["cpu_ms"],
            }
            for name, row in bare.items()
        ],
        "Three bare hops": [
            _load_row(at_once, one) for at_once, (one, *_) in reference.floor.items()
        ],
        "Search through the gateway": search_rows(reference, found.searches),
        "StreamAnswer, extractive": [
            {
                "at once": at_once,
                "answers": one.latency.count,
                "first event p50 ms": one.trend("first_event").p50,
                "first words p50 ms": one.trend("first_delta").p50,
                "last event p50 ms": one.latency.p50,
                "last event p95 ms": one.latency.p95,
                "errors": one.errors,
            }
            for at_once, (one, *_) in found.streams.items()
        ],
        "Ingest": [
            {
                "passages": fill.counts["passages"],
                "passages/s": fill.passage_rate,
                "the bare model's, on texts of up to 300 tokens": bare["passage_1_caller_a_core"][
                    "rate"
                ],
            }
        ],
        "Services": [
            {
                "service": name,
                "ready after s": ready[name],
                "memory MiB after the run": f"{memory:.0f}",
                "idle, % of a core": f"{found.idle[name]:.2f}",
            }
            for name, memory in found.memory.items()
        ],
    }


def search_rows(reference: Reference, found: BySize) -> list[Row]:
    """The first round of each size, beside the bare model and bare hops."""
    bare = reference.bare
    best = max(row["rate"] for name, row in bare.items() if name.startswith("query"))
    return [
        {
            **_load_row(at_once, one),
            "of the bare model": f"{one.rate / best:.0%}",
            "not the model": one.cpu - bare["query_1_caller_a_core"]["cpu_ms"],
            "three bare hops": reference.floor[at_once][0].cpu,
        }
        for at_once, (one, *_) in found.items()
    ]


def _load_row(at_once: int, one: Searches) -> Row:
    return {
        "at once": at_once,
        "searches/s": one.rate,
        **{f"{name} ms": getattr(one.latency, name) for name in ("p50", "p95", "p99")},
        "errors": one.errors,
        "CPU ms/search": one.cpu,
        **{name: one.parts[name] for name in ("gateway", "embedder", "retriever")},
    }


def baseline_rows(own: Measured, baseline: Measured) -> Iterator[Row]:
    """Every figure of both checkouts, and this one's divided by the baseline's, round by round."""
    others = figures(baseline)
    for name, values in figures(own).items():
        ratio = Extra.of([new / old for new, old in zip(values, others[name], strict=True)])
        error = f" ± {ratio.error:.3f}" if len(values) > 1 else ""
        means = {"baseline": f"{mean(others[name]):.2f}", "this checkout": f"{mean(values):.2f}"}
        yield {"figure": name, **means, "ratio": f"{ratio.mean:.3f}{error}"}


def figures(found: Measured) -> dict[str, list[float]]:
    """Each figure's values, round by round; a single one for what is measured once."""
    rows: dict[str, list[float]] = {}
    for n, rounds in found.searches.items():
        rows[f"search, {n} at once: searches/s"] = [one.rate for one in rounds]
        rows[f"search, {n} at once: p50 ms"] = [one.latency.p50 for one in rounds]
        rows[f"search, {n} at once: p95 ms"] = [one.latency.p95 for one in rounds]
        rows[f"search, {n} at once: CPU ms/search"] = [one.cpu for one in rounds]
    for n, answers in found.streams.items():
        rows[f"stream, {n} at once: first event p50 ms"] = [
            one.trend("first_event").p50 for one in answers
        ]
        rows[f"stream, {n} at once: last event p50 ms"] = [one.latency.p50 for one in answers]
    rows["ingest: passages/s"] = [fill.passage_rate for fill in found.fills]
    rows["idle: % of a core"] = [sum(found.idle.values())]
    rows["memory: MiB"] = [sum(found.memory.values())]
    rows["ready: s"] = [max(found.ready.values())]
    return rows


def cost_rows(costs: Sequence[Cost]) -> Iterator[Row]:
    """Ways in pairs, on one platform or two: without what is measured, and with it."""
    names = dict.fromkeys(name for cost in costs for name in cost.parts)
    for place, cost in enumerate(costs):
        first, without = costs[0], costs[place - place % 2]
        yield {
            "way": cost.way,
            "searches/s": mean(one.rate for one in cost.loaded),
            "fewer than without, %": "" if cost is without else cost.slower(without),
            "CPU ms/search": sum(cost.parts.values()),
            "more than the first": "" if cost is first else cost.over(first),
            "more than without": "" if cost is without else cost.over(without),
            **{name: f"{cost.parts[name]:.2f}" if name in cost.parts else "" for name in names},
            "p50 ms at 1": cost.alone.latency.p50,
            "p95 ms at 1": cost.alone.latency.p95,
        }


def growth_rows(found: Sequence[Growth]) -> Iterator[Row]:
    for one in found:
        graph = one.graph_seconds
        yield {
            "engine": one.engine,
            "passages": f"{one.passages:,}",
            "of them in the bulk": f"{one.bulk:,}",
            "written/s": f"{one.bulk / one.written_seconds:.0f}",
            "graph after s": "—" if graph is None else f"{graph:.0f}",
            "p50 ms before": one.after_bulk.p50,
            "p95 ms before": one.after_bulk.p95,
            "p50 ms with the graph": one.with_graph.p50,
            "p95 ms with the graph": one.with_graph.p95,
            "memory KiB/passage": one.memory / 2**10,
            "disk KiB/passage": one.disk / 2**10,
        }
