"""A dashboard in Grafana's form, made with Grafana's own builders."""

import json
from collections.abc import Iterator

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from tools.dashboards.board import Board, Choice, Source
from tools.dashboards.panels import panel
from tools.dashboards.targets import data_source

TAG = "rag"

# Panels are numbered by section and place, so that one more changes the numbers of few others.
_SECTION = 100


def render(board: Board) -> str:
    """The dashboard's JSON; the same board gives the same text."""
    created = json.loads(JSONEncoder(sort_keys=True).encode(_dashboard(board).build()))
    return json.dumps(created, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _dashboard(board: Board) -> build.Dashboard:
    created = (
        build.Dashboard(board.title)
        .uid(board.uid)
        .description(board.about)
        .tags([TAG])
        .readonly()
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .time(board.window, "now")
        .timezone("browser")
        .refresh("30s")
        .link(_neighbours())
    )
    for variable in _variables(board):
        created.with_variable(variable)
    for number, section in enumerate(board.sections, 1):
        created.with_row(build.Row(section.title).id(number * _SECTION))
        for place, one in enumerate(section.panels, 1):
            created.with_panel(panel(one, number * _SECTION + place))
    return created


def _neighbours() -> build.DashboardLink:
    """Links to all dashboards of the platform, which take the time and the variables along."""
    return (
        build.DashboardLink("RAG")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(False)
        .include_vars(True)
        .keep_time(True)
    )


Variable = build.DatasourceVariable | build.QueryVariable | build.TextBoxVariable


def _variables(board: Board) -> Iterator[Variable]:
    for source in board.sources:
        label = source.value.capitalize()
        yield build.DatasourceVariable(source.value).label(label).type(source.value)
    for choice in board.choices:
        yield _choice(choice)
    for name in board.asks:
        empty = model.VariableOption(text="", value="")
        yield build.TextBoxVariable(name).label(name).default_value("").current(empty)


def _choice(choice: Choice) -> build.QueryVariable:
    return (
        build.QueryVariable(choice.name)
        .label(choice.name)
        .datasource(data_source(Source.PROMETHEUS))
        .query(f"label_values({choice.metric}, {choice.label})")
        .current(model.VariableOption(selected=True, text="All", value="$__all"))
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
    )
