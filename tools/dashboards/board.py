"""What a dashboard consists of, before Grafana's form of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

# A colour that holds from a value on; the first of a panel's bounds has no value.
Bound = tuple[float | None, str]

GREEN, YELLOW, RED = "green", "yellow", "red"


class Source(Enum):
    """Whom a query is put to: the variable of a dashboard that names the data source."""

    PROMETHEUS = "prometheus"
    TEMPO = "tempo"
    LOKI = "loki"


class Kind(Enum):
    """How a panel shows what its queries find."""

    LINES = "timeseries"
    AREAS = "stacked timeseries"
    NUMBER = "stat"
    STATES = "state-timeline"
    TABLE = "table"
    HEAT = "heatmap"
    TRACE = "traces"
    LOGS = "logs"


@dataclass(frozen=True, slots=True)
class Query:
    """One expression in the language of its source, and how what it finds is called.

    A unit is for a table alone, whose columns may differ in it.
    """

    text: str
    legend: str = ""
    source: Source = Source.PROMETHEUS
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A panel; `says` is what one reads from it, `runbooks` the alerts that go with it.

    A table has one column for each query, and a row for each set of their labels. `leads` has uids of
    dashboards that show more. A width is of 24 columns. `empty` is said where nothing is found.
    """

    title: str
    says: str
    queries: tuple[Query, ...]
    kind: Kind = Kind.LINES
    unit: str = "short"
    bounds: tuple[Bound, ...] = ()
    names: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    runbooks: tuple[str, ...] = ()
    leads: tuple[str, ...] = ()
    most: float | None = None
    empty: str = ""
    width: int = 8
    height: int = 8


@dataclass(frozen=True, slots=True)
class Section:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


def section(title: str, *panels: Panel) -> Section:
    """A section of these panels."""
    return Section(title, panels)


def panel(
    title: str,
    says: str,
    *queries: Query | str,
    see: tuple[str, ...] = (),
    size: tuple[int, int] = (8, 8),
    **look: Any,
) -> Panel:
    """A panel of this width and height; a query that is only text is named by the labels it sums by.

    `see` has alerts, which have a runbook each, and uids of dashboards that show more.
    """
    return Panel(
        title=title,
        says=says,
        queries=tuple(Query(q, _legend(q)) if isinstance(q, str) else q for q in queries),
        runbooks=tuple(name for name in see if not name.startswith("rag-")),
        leads=tuple(name for name in see if name.startswith("rag-")),
        width=size[0],
        height=size[1],
        **look,
    )


def _legend(expression: str) -> str:
    by = re.search(r"by \(([^)]*)\)", expression)
    labels = by[1].removeprefix("le, ") if by else ""
    return labels_legend(labels)


def labels_legend(labels: str) -> str:
    """A legend that shows the values of these labels, which are separated by commas."""
    return " ".join(f"{{{{{label}}}}}" for label in labels.split(", ") if label)


@dataclass(frozen=True, slots=True)
class Choice:
    """A variable whose values are those of a label; a series of `metric` has it."""

    name: str
    metric: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A dashboard. `asks` has the names of variables that a person types in."""

    uid: str
    title: str
    about: str
    sections: tuple[Section, ...]
    choices: tuple[Choice, ...] = ()
    asks: tuple[str, ...] = ()
    window: str = "now-1h"

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels, in their order."""
        return tuple(panel for section in self.sections for panel in section.panels)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Whom its queries are put to; Prometheus is always among them, and first."""
        requested = {query.source for panel in self.panels for query in panel.queries}
        return tuple(one for one in Source if one is Source.PROMETHEUS or one in requested)


SERVICE = Choice("service", "rag_build_info", "service")
INSTANCE = Choice("instance", 'rag_build_info{service=~"$service"}', "instance")


def above(warn: float, bad: float) -> tuple[Bound, ...]:
    """Bounds of what should be low; where both are the same there is no warning."""
    return ((None, GREEN), *([(warn, YELLOW)] if warn < bad else []), (bad, RED))


def below(bad: float, warn: float) -> tuple[Bound, ...]:
    """Bounds of what should be high; where both are the same there is no warning."""
    return ((None, RED), *([(bad, YELLOW)] if bad < warn else []), (warn, GREEN))


# How a value of 0 or 1 is shown, where 1 or where 0 is good.
YES_NO: dict[str, Any] = {"names": {1: ("yes", GREEN), 0: ("no", RED)}, "bounds": below(1, 1)}
NO_YES: dict[str, Any] = {"names": {0: ("no", GREEN), 1: ("yes", YELLOW)}, "bounds": above(1, 2)}
