"""Services side by side: rates, times, queues, errors and checks."""

import math
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.text import Text

from rag_client.console.tables import plain_table
from rag_client.observed.services import Queue, Service
from rag_client.observed.words import clean, short

_PIPE_WIDTH = 100
_MOST_METHODS = 12
# Open are the calls in flight; lag is how late the event loop is, at its 95th percentile.
_HEADINGS = ["service", "state", "calls/s", "err/s", "p50", "p95", "open", "CPU%", "MiB", "lag"]
_NONE = "-"
_STYLES = {"serving": "green", "degraded": "yellow", "not_serving": "red"}


def rates_console() -> Console:
    """Standard output; a pipe is 100 wide."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=_PIPE_WIDTH)


def rates(services: Sequence[Service]) -> RenderableType:
    """One page: a line a service, then methods, queues, and what is wrong."""
    parts: list[RenderableType] = [_services(services)]
    for table in (_methods(services), _queues(services)):
        if table:
            parts += [Text(), table]
    wrong = list(_wrong(services))
    if wrong:
        parts += [Text(), *wrong]
    return Group(*parts)


def _services(services: Sequence[Service]) -> RenderableType:
    table = plain_table(_HEADINGS)
    # One space between columns: it has to fit a terminal of 80.
    table.padding = (0, 1, 0, 0)
    for column in table.columns[2:]:
        column.justify = "right"
        column.no_wrap = True
    for service in services:
        style = "red" if service.failure else _STYLES.get(service.state, "")
        cells = ["no answer"] if service.failure else [service.state or _NONE, *_numbers(service)]
        table.add_row(Text(clean(service.name)), Text(cells[0], style), *map(Text, cells[1:]))
    return table


def _numbers(service: Service) -> list[str]:
    flying = _number(service.in_flight)
    if service.capacity:
        flying += f"/{_number(service.capacity)}"
    return [
        _rate(service.rate),
        _rate(service.error_rate),
        time_of(service.p50),
        time_of(service.p95),
        flying,
        _NONE if service.cpu is None else f"{100 * service.cpu:.0f}",
        _NONE if service.memory is None else f"{service.memory / 2**20:,.0f}",
        time_of(service.lag),
    ]


def _methods(services: Sequence[Service]) -> RenderableType | None:
    every = [(service, method) for service in services for method in service.methods]
    every.sort(key=lambda item: item[1].rate, reverse=True)
    table = plain_table(["service", "method", "calls/s", "p50", "p95", "errors"])
    for column in table.columns[2:5]:
        column.justify = "right"
        column.no_wrap = True
    for service, method in every[:_MOST_METHODS]:
        row = [clean(service.name), short(method.name), _rate(method.rate)]
        times = [time_of(method.p50), time_of(method.p95)]
        table.add_row(*map(Text, [*row, *times]), Text(_counts(method.errors), "red"))
    return table if every else None


def _queues(services: Sequence[Service]) -> RenderableType | None:
    table = plain_table(["service", "queue", "now", "of", "oldest"])
    for column in table.columns[2:]:
        column.justify = "right"
    for service in services:
        for queue in service.queues:
            table.add_row(*map(Text, [clean(service.name), *_queue(queue)]))
    return table if table.row_count else None


def _queue(queue: Queue) -> list[str]:
    return [queue.name, _number(queue.value), _number(queue.capacity), time_of(queue.oldest)]


def _wrong(services: Sequence[Service]) -> Iterator[Text]:
    for service in services:
        who = clean(service.name)
        if service.failure:
            yield Text(f"{who}: {clean(service.failure)}", "red")
        for check in service.failing:
            kind = f" ({check.kind})" if check.kind else ""
            yield Text(
                f"{who}: check {clean(check.name)}{kind} fails: {clean(check.error)}", "yellow"
            )
        if service.refusals:
            yield Text(f"{who}: refused {_counts(service.refusals)}", "yellow")
        if service.dropped:
            yield Text(f"{who}: telemetry lost, {_counts(service.dropped)}", "yellow")


def time_of(seconds: float | None) -> str:
    """A time in three digits: 0.4 ms, 12.5 ms, 310 ms, 2.50 s."""
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
    return ", ".join(f"{count:,} {clean(name)}" for name, count in counts.items())
