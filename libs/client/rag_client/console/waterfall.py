"""A trace as a waterfall: who called whom, when, for how long, and what became of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from rag_client.observed.axis import BAR, Axis, length, mark, marks
from rag_client.observed.links import Linked, sentence
from rag_client.observed.spans import Span, Trace
from rag_client.observed.summaries import Summary, summary
from rag_client.observed.tree import forest, walk
from rag_client.observed.warnings import warnings
from rag_client.observed.words import clean, counted, fit, short, titled

_PIPE_WIDTH = 100
_COLOURS = ("cyan", "green", "magenta", "blue", "yellow", "bright_cyan", "bright_green")
_MOST_ROWS, _MOST_SHARES, _MOST_LINES = 400, 5, 10
_TIME_WIDTH, _LEAST_BAR = 9, 12
_CODE_WIDTH, _DEEPEST = 20, 24
_LINK, _ORPHAN = "~ ", "? "


def show_trace(trace: Trace, linked: Sequence[Linked], *, verbose: bool) -> None:
    """The facts, then a line a span; with `verbose` also all attributes, and every row there is."""
    out = Console(highlight=False)
    if not out.is_terminal:
        out = Console(highlight=False, width=_PIPE_WIDTH)
    facts = summary(trace)
    for line in (*_head(trace, facts), *_page(trace, facts, linked, out.width, verbose)):
        line.rstrip()
        out.print(line, soft_wrap=True)


def _head(trace: Trace, facts: Summary) -> Iterator[Text]:
    began = datetime.fromtimestamp(facts.start / 1e9, UTC)
    yield Text(f"trace {facts.trace_id}  {began:%Y-%m-%d %H:%M:%S} UTC", "bold")
    parts = [
        f"total {length(facts.total)}",
        counted(facts.spans, "span"),
        f"{counted(len(facts.services), 'service')}, {len(facts.processes)} "
        f"{'process' if len(facts.processes) == 1 else 'processes'}",
        counted(facts.errors, "error"),
        counted(len(facts.orphans), "orphan"),
    ]
    yield Text(" · ".join(parts), "red" if facts.errors else "")
    yield from _path(facts)
    yield from (Text(f"! {text}", "yellow") for text in warnings(facts))
    yield Text()


def _path(facts: Summary) -> Iterator[Text]:
    yield Text("\nwhere the time went (critical path, by the spans' own time)")
    top = facts.critical_path[:_MOST_SHARES]
    width = max((cell_len(clean(share.service)) for share in top), default=0)
    for share in top:
        part = 100 * share.nanoseconds / (facts.total or 1)
        who = f"{fit(clean(share.service), width)}  {titled(share.kind, share.name)}"
        yield Text(f"{length(share.nanoseconds):>{_TIME_WIDTH}} {part:5.1f} %  {who}")


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the waterfall; `sign` tells an orphan, or a span of another trace that is linked.

    `explained` where its links stand in lines of their own.
    """

    span: Span
    depth: int
    sign: str
    explained: bool

    @property
    def label(self) -> str:
        """Its name, as far in as it is deep."""
        return f"{'  ' * self.depth}{self.sign}{titled(self.span.kind, self.span.name)}"


@dataclass(frozen=True, slots=True)
class _Columns:
    """How wide each part is."""

    service: int
    label: int
    bar: int


def _page(
    trace: Trace, facts: Summary, linked: Sequence[Linked], width: int, verbose: bool
) -> Iterator[Text]:
    every = list(_rows(trace, facts, linked))
    rows = every if verbose else every[:_MOST_ROWS]
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


def _rows(trace: Trace, facts: Summary, linked: Sequence[Linked]) -> Iterator[_Row]:
    lost = {orphan.span_id for orphan in facts.orphans}
    for level, node in walk(forest(trace).tops):
        depth = min(level, _DEEPEST)
        others = [other.span for other in linked if other.by == node.span.span_id]
        sign = _ORPHAN if node.span.span_id in lost else ""
        yield _Row(node.span, depth, sign, explained=bool(others))
        for other in others:
            yield _Row(other, depth + 1, _LINK, explained=True)


def _columns(rows: Sequence[_Row], width: int) -> _Columns:
    service = min(16, max(cell_len(clean(row.span.service)) for row in rows))
    code = min(_CODE_WIDTH, max(cell_len(clean(row.span.code)) for row in rows))
    left = width - service - _TIME_WIDTH - code - 4
    longest = max(cell_len(row.label) for row in rows)
    label = max(8, min(longest, left * 55 // 100, left - _LEAST_BAR))
    return _Columns(service, label, max(_LEAST_BAR, left - label))


def _line(row: _Row, axis: Axis, columns: _Columns, colour: str) -> Text:
    span = row.span
    line = Text(fit(clean(span.service), columns.service), colour)
    line.append(f" {fit(row.label, columns.label)} ", "bold red" if span.failed else "")
    # A filled cell where there is colour, the character itself where there is none.
    shade = "red" if span.failed else colour
    for cell, run in groupby(axis.bar(span)):
        style = f"{shade} on {shade}" if cell == BAR else f"bold {shade}"
        line.append("".join(run), f"{style} dim" if row.sign == _LINK else style)
    line.append(f" {length(span.duration) if span.end else 'not ended':>{_TIME_WIDTH}}")
    code = clean(span.code)[:_CODE_WIDTH]
    line.append(f" {code}", "red" if span.failed else "dim")
    return line


def _notes(row: _Row, columns: _Columns, names: Mapping[str, str]) -> Iterator[Text]:
    """What there is to say below a line: why it failed, and what it is linked with."""
    span, margin = row.span, _margin(row, columns)
    if span.failed:
        yield Text(f"{margin}! {clean(span.reason)}", "red")
    if row.sign == _LINK:
        yield Text(f"{margin}  of trace {span.trace_id}", "dim")
    elif span.links and not row.explained:
        yield Text(f"{margin}{_LINK}linked with {sentence(span, names)}", "dim")


def _attributes(row: _Row, columns: _Columns, *, new: bool) -> Iterator[Text]:
    """Those of the span; of its process, where that is `new`."""
    own = row.span.attributes
    for name, value in {**row.span.resource, **own}.items() if new else own.items():
        yield Text(f"{_margin(row, columns)}{clean(name)}={clean(value)}", "dim")


def _margin(row: _Row, columns: _Columns) -> str:
    return " " * (columns.service + 3 + 2 * row.depth)


def _legend(spans: Sequence[Span], start: int, verbose: bool) -> Iterator[Text]:
    found = marks(spans)
    shown = found if verbose else found[:_MOST_LINES]
    if found:
        yield Text()
    for span, event in shown:
        at = length(event.time - start)
        more = _pairs(event.attributes) if verbose else ""
        line = f"{mark(event)} {clean(event.name)} at {at}  {short(span.name)}  {more}"
        yield Text(line, "dim")
    if len(shown) < len(found):
        yield Text(f"and {len(found) - len(shown)} more events: --verbose shows them", "dim")


def _pairs(attributes: Mapping[str, Any]) -> str:
    return " ".join(f"{clean(name)}={clean(value)}" for name, value in attributes.items())
