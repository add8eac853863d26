"""A benchmark as tables."""

from collections.abc import Mapping

from rich.text import Text

from rag_client.console.tables import console, plain_table
from rag_client.load.closed import Latency
from rag_client.load.processes import Spent
from rag_client.load.run import Bench


def show_bench(found: Bench) -> None:
    """Ingest, then searches and streams by concurrency, then what each process has spent."""
    out = console()
    fill = found.fill
    out.print(
        Text(f"ingest  {fill.passages} passages in {fill.seconds:.1f} s, {fill.rate:.1f}/s\n")
    )
    _show_searches(found)
    _show_streams(found)
    _show_processes(found.processes)


def _show_searches(found: Bench) -> None:
    names = list(found.processes)
    headings = ["search at", "replies", "per second", "p50 ms", "p95 ms", "p99 ms", "errors"]
    table = plain_table([*headings, *(f"{name} CPU ms/query" for name in names)])
    for load in found.searches:
        table.add_row(
            str(load.concurrency),
            str(load.replies),
            f"{load.rate:.1f}",
            *_percentiles(load.latency),
            _errors(load.errors),
            *(f"{load.cpu_ms_per_query[name]:.2f}" for name in names),
        )
    console().print(table)


def _show_streams(found: Bench) -> None:
    times = ("first event", "first word", "last event")
    headings = [f"{name} p{share} ms" for name in times for share in (50, 95)]
    table = plain_table(["stream at", "answers", *headings, "errors"])
    for load in found.streams:
        timings = (load.first_event, load.first_delta, load.last_event)
        cells = [cell for timing in timings for cell in _percentiles(timing)[:2]]
        table.add_row(str(load.concurrency), str(load.answers), *cells, _errors(load.errors))
    console().print(Text(), table)


def _show_processes(processes: Mapping[str, Spent]) -> None:
    if not processes:
        return
    table = plain_table(["process", "CPU s", "memory MiB"])
    for name, used in processes.items():
        table.add_row(name, f"{used.cpu_seconds:.1f}", f"{used.memory_mib:.0f}")
    console().print(Text(), table)


def _percentiles(timing: Latency) -> list[str]:
    return [f"{value:.1f}" for value in (timing.p50, timing.p95, timing.p99)]


def _errors(errors: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in errors.items()) or "none"
