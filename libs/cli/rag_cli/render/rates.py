"""Services as tables: rates, latencies, queues, errors and checks."""

import math
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from rag_cli.observe.services import Queue, Service
from rag_cli.observe.text import printable, short_name
from rag_cli.render.tables import plain_table

_MAX_METHODS = 12
# "open" is the number of calls in flight; "lag" is the 95th percentile of the event loop's delay.
_HEADINGS = ["service", "state", "calls/s", "err/s", "p50", "p95", "open", "CPU%", "MiB", "lag"]
_NONE = "-"
_STYLES = {"serving": "green", "degraded": "yellow", "not_serving": "red"}


def rates(services: Sequence[Service]) -> RenderableType:
    """One page: a line per service, then methods, queues and problems."""
    parts: list[RenderableType] = [_services(services)]
    for table in (_methods(services), _queues(services)):
        if table:
            parts += [Text(), table]
    problems = list(_problems(services))
    if problems:
        parts += [Text(), *problems]
    return Group(*parts)


def _services(services: Sequence[Service]) -> RenderableType:
    table = plain_table(_HEADINGS)
    # One space between columns, to fit a terminal of 80 columns.
    table.padding = (0, 1, 0, 0)
    for column in table.columns[2:]:
        column.justify = "right"
        column.no_wrap = True
    for service in services:
        style = "red" if service.failure else _STYLES.get(service.state, "")
        cells = ["no answer"] if service.failure else [service.state or _NONE, *_numbers(service)]
        table.add_row(Text(printable(service.name)), Text(cells[0], style), *map(Text, cells[1:]))
    return table


def _numbers(service: Service) -> list[str]:
    flying = _number(service.in_flight)
    if service.capacity:
        flying += f"/{_number(service.capacity)}"
    return [
        _rate(service.rate),
        _rate(service.error_rate),
        format_seconds(service.p50),
        format_seconds(service.p95),
        flying,
        _NONE if service.cpu is None else f"{100 * service.cpu:.0f}",
        _NONE if service.memory is None else f"{service.memory / 2**20:,.0f}",
        format_seconds(service.lag),
    ]


def _methods(services: Sequence[Service]) -> RenderableType | None:
    every = [(service, method) for service in services for method in service.methods]
    every.sort(key=lambda item: item[1].rate, reverse=True)
    table = plain_table(["service", "method", "calls/s", "p50", "p95", "errors"])
    for column in table.columns[2:5]:
        column.justify = "right"
        column.no_wrap = True
    for service, method in every[:_MAX_METHODS]:
        row = [printable(service.name), short_name(method.name), _rate(method.rate)]
        times = [format_seconds(method.p50), format_seconds(method.p95)]
        table.add_row(*map(Text, [*row, *times]), Text(_counts(method.errors), "red"))
    return table if every else None


def _queues(services: Sequence[Service]) -> RenderableType | None:
    table = plain_table(["service", "queue", "now", "of", "oldest"])
    for column in table.columns[2:]:
        column.justify = "right"
    for service in services:
        for queue in service.queues:
            table.add_row(*map(Text, [printable(service.name), *_queue(queue)]))
    return table if table.row_count else None


def _queue(queue: Queue) -> list[str]:
    return [queue.name, _number(queue.value), _number(queue.capacity), format_seconds(queue.oldest)]


def _problems(services: Sequence[Service]) -> Iterator[Text]:
    for service in services:
        who = printable(service.name)
        if service.failure:
            yield Text(f"{who}: {printable(service.failure)}", "red")
        for check in service.failing:
            kind = f" ({check.kind})" if check.kind else ""
            yield Text(
                f"{who}: check {printable(check.name)}{kind} fails: {printable(check.error)}",
                "yellow",
            )
        if service.refusals:
            yield Text(f"{who}: refused {_counts(service.refusals)}", "yellow")
        if service.dropped:
            yield Text(f"{who}: telemetry lost, {_counts(service.dropped)}", "yellow")


def format_seconds(seconds: float | None) -> str:
    """A duration as text: 0.4 ms, 12.5 ms, 310 ms, 2.50 s."""
    if seconds is None:
        return _NONE
    if math.isinf(seconds):
        return "too long"
    if seconds >= 1:
        return f"{seconds:.2f} s" if seconds < 100 else f"{seconds:.0f} s"
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"


def _rate(rate: float | None) -> str:
    if rate is None:
        return _NONE
    return f"{rate:,.1f}" if rate < 1000 else f"{rate:,.0f}"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:,.0f}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {printable(name)}" for name, count in counts.items())
