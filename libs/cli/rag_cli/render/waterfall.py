"""A trace as a waterfall of spans: callers, times, durations and outcomes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from rag_cli.observe.axis import BAR, Axis, format_nanoseconds, mark, marks
from rag_cli.observe.span_links import LinkedSpan, describe_links
from rag_cli.observe.spans import Span, Trace
from rag_cli.observe.summaries import Summary, summary, warnings
from rag_cli.observe.text import fit, pluralize, printable, short_name, span_label
from rag_cli.observe.tree import forest, walk
from rag_cli.render.tables import console

_PIPE_WIDTH = 100
_COLOURS = ("cyan", "green", "magenta", "blue", "yellow", "bright_cyan", "bright_green")
_MAX_ROWS, _MAX_SHARES, _MAX_EVENTS = 400, 5, 10
_TIME_WIDTH, _MIN_BAR_WIDTH = 9, 12
_CODE_WIDTH, _MAX_DEPTH = 20, 24
_LINK, _ORPHAN = "~ ", "? "


def show_trace(trace: Trace, linked: Sequence[LinkedSpan], *, verbose: bool) -> None:
    """Print the summary, then one line per span; with `verbose`, all spans and all attributes."""
    out = console(_PIPE_WIDTH)
    facts = summary(trace)
    for line in (*_head(trace, facts), *_page(trace, facts, linked, out.width, verbose)):
        line.rstrip()
        out.print(line, soft_wrap=True)


def _head(trace: Trace, facts: Summary) -> Iterator[Text]:
    began = datetime.fromtimestamp(facts.start / 1e9, UTC)
    yield Text(f"trace {facts.trace_id}  {began:%Y-%m-%d %H:%M:%S} UTC", "bold")
    parts = [
        f"total {format_nanoseconds(facts.total)}",
        pluralize(facts.spans, "span"),
        f"{pluralize(len(facts.services), 'service')}, {len(facts.processes)} "
        f"{'process' if len(facts.processes) == 1 else 'processes'}",
        pluralize(facts.errors, "error"),
        pluralize(len(facts.orphans), "orphan"),
    ]
    yield Text(" · ".join(parts), "red" if facts.errors else "")
    yield from _path(facts)
    yield from (Text(f"! {text}", "yellow") for text in warnings(facts))
    yield Text()


def _path(facts: Summary) -> Iterator[Text]:
    yield Text("\ncritical path (by the spans' own time)")
    top = facts.critical_path[:_MAX_SHARES]
    width = max((cell_len(printable(share.service)) for share in top), default=0)
    for share in top:
        part = 100 * share.nanoseconds / (facts.total or 1)
        who = f"{fit(printable(share.service), width)}  {span_label(share.kind, share.name)}"
        yield Text(f"{format_nanoseconds(share.nanoseconds):>{_TIME_WIDTH}} {part:5.1f} %  {who}")


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the waterfall; `sign` marks an orphan, or a linked span of another trace.

    `explained` is True if the linked spans have lines of their own.
    """

    span: Span
    depth: int
    sign: str
    explained: bool

    @property
    def label(self) -> str:
        """The span's name, indented by its depth."""
        return f"{'  ' * self.depth}{self.sign}{span_label(self.span.kind, self.span.name)}"


@dataclass(frozen=True, slots=True)
class _Columns:
    """The width of each part in cells."""

    service: int
    label: int
    bar: int


def _page(
    trace: Trace, facts: Summary, linked: Sequence[LinkedSpan], width: int, verbose: bool
) -> Iterator[Text]:
    every = list(_rows(trace, facts, linked))
    rows = every if verbose else every[:_MAX_ROWS]
    columns = _columns(rows, width)
    axis = Axis(facts.start, facts.total, columns.bar)
    services = dict.fromkeys(row.span.service for row in rows)
    colours = {name: _COLOURS[at % len(_COLOURS)] for at, name in enumerate(services)}
    names = {span.span_id: span.name for span in trace.spans}
    seen = set[str]()
    yield Text(f"{' ' * (columns.service + columns.label + 2)}{axis.scale()}", "dim")
    for row in rows:
        yield _line(row, axis, columns, colours[row.span.service])
        yield from _notes(row, columns, names)
        if verbose:
            yield from _attributes(row, columns, new=row.span.process not in seen)
        seen.add(row.span.process)
    if len(rows) < len(every):
        yield Text(f"and {len(every) - len(rows)} more spans: --verbose shows them", "yellow")
    yield from _legend([row.span for row in rows], facts.start, verbose)


def _rows(trace: Trace, facts: Summary, linked: Sequence[LinkedSpan]) -> Iterator[_Row]:
    orphans = {orphan.span_id for orphan in facts.orphans}
    for level, node in walk(forest(trace).tops):
        depth = min(level, _MAX_DEPTH)
        others = [other.span for other in linked if other.by == node.span.span_id]
        sign = _ORPHAN if node.span.span_id in orphans else ""
        yield _Row(node.span, depth, sign, explained=bool(others))
        for other in others:
            yield _Row(other, depth + 1, _LINK, explained=True)


def _columns(rows: Sequence[_Row], width: int) -> _Columns:
    service = min(16, max(cell_len(printable(row.span.service)) for row in rows))
    code = min(_CODE_WIDTH, max(cell_len(printable(row.span.code)) for row in rows))
    left = width - service - _TIME_WIDTH - code - 4
    longest = max(cell_len(row.label) for row in rows)
    label = max(8, min(longest, left * 55 // 100, left - _MIN_BAR_WIDTH))
    return _Columns(service, label, max(_MIN_BAR_WIDTH, left - label))


def _line(row: _Row, axis: Axis, columns: _Columns, colour: str) -> Text:
    span = row.span
    line = Text(fit(printable(span.service), columns.service), colour)
    line.append(f" {fit(row.label, columns.label)} ", "bold red" if span.failed else "")
    # A filled cell on a colour terminal, the character itself otherwise.
    shade = "red" if span.failed else colour
    for cell, run in groupby(axis.bar(span)):
        style = f"{shade} on {shade}" if cell == BAR else f"bold {shade}"
        line.append("".join(run), f"{style} dim" if row.sign == _LINK else style)
    line.append(f" {format_nanoseconds(span.duration) if span.end else 'not ended':>{_TIME_WIDTH}}")
    code = printable(span.code)[:_CODE_WIDTH]
    line.append(f" {code}", "red" if span.failed else "dim")
    return line


def _notes(row: _Row, columns: _Columns, names: Mapping[str, str]) -> Iterator[Text]:
    """The lines below a span: its error, and its links."""
    span, margin = row.span, _margin(row, columns)
    if span.failed:
        yield Text(f"{margin}! {printable(span.reason)}", "red")
    if row.sign == _LINK:
        yield Text(f"{margin}  of trace {span.trace_id}", "dim")
    elif span.links and not row.explained:
        yield Text(f"{margin}{_LINK}linked with {describe_links(span, names)}", "dim")


def _attributes(row: _Row, columns: _Columns, *, new: bool) -> Iterator[Text]:
    """The attributes of the span; also those of its process if that is `new`."""
    own = row.span.attributes
    for name, value in {**row.span.resource, **own}.items() if new else own.items():
        yield Text(f"{_margin(row, columns)}{printable(name)}={printable(value)}", "dim")


def _margin(row: _Row, columns: _Columns) -> str:
    return " " * (columns.service + 3 + 2 * row.depth)


def _legend(spans: Sequence[Span], start: int, verbose: bool) -> Iterator[Text]:
    every = marks(spans)
    shown = every if verbose else every[:_MAX_EVENTS]
    if every:
        yield Text()
    for span, event in shown:
        at = format_nanoseconds(event.time - start)
        more = _pairs(event.attributes) if verbose else ""
        line = f"{mark(event)} {printable(event.name)} at {at}  {short_name(span.name)}  {more}"
        yield Text(line, "dim")
    if len(shown) < len(every):
        yield Text(f"and {len(every) - len(shown)} more events: --verbose shows them", "dim")


def _pairs(attributes: Mapping[str, Any]) -> str:
    return " ".join(f"{printable(name)}={printable(value)}" for name, value in attributes.items())
