"""Panels in Grafana's form: one look for each kind."""

from collections.abc import Callable, Sequence

from grafana_foundation_sdk.builders import (
    common,
    heatmap,
    logs,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as shape
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode

from tools.dashboards.board import Kind, Panel, Query, Source
from tools.dashboards.targets import data_source, target

Made = (
    timeseries.Panel
    | stat.Panel
    | statetimeline.Panel
    | table.Panel
    | heatmap.Panel
    | logs.Panel
    | build.Panel
)

RUNBOOKS = "docs/runbooks"


def panel(one: Panel, number: int) -> Made:
    """The panel under this number."""
    created = _LOOKS[one.kind](one)
    created.id(number).title(one.title).description(_description(one))
    created.span(one.width).height(one.height).datasource(data_source(one.queries[0].source))
    for place, query in enumerate(one.queries):
        created.with_target(target(query, one.kind, place))
    if one.leads:
        created.links([_lead(uid) for uid in one.leads])
    if one.kind not in (Kind.TRACE, Kind.LOGS):
        _measured(created, one)
    return created


def _description(one: Panel) -> str:
    pages = ", ".join(f"{RUNBOOKS}/{name}.md" for name in one.runbooks)
    return f"{one.says}\n\nRunbook: {pages}" if pages else one.says


def _lead(uid: str) -> build.DashboardLink:
    name = uid.removeprefix("rag-")
    url = f"/d/{uid}?${{__url_time_range}}&${{__all_variables}}"
    return build.DashboardLink(name).type(model.DashboardLinkType.LINK).url(url)


def _measured(made: Made, one: Panel) -> None:
    """What all panels that show values have: a unit, bounds, and words for values."""
    made.unit(one.unit)
    if one.empty:
        made.no_value(one.empty)
    if one.bounds:
        made.thresholds(
            build.ThresholdsConfig()
            .mode(model.ThresholdsMode.ABSOLUTE)
            .steps([model.Threshold(value, color) for value, color in one.bounds])
        )
    if one.names:
        named = {
            str(value): model.ValueMappingResult(text=text, color=color, index=place)
            for place, (value, (text, color)) in enumerate(one.names.items())
        }
        made.mappings([model.ValueMap(options=named)])


def _lines(one: Panel) -> timeseries.Panel:
    created = timeseries.Panel().line_width(1).fill_opacity(8).min(0)
    created.show_points(shape.VisibilityMode.AUTO).legend(_legend())
    created.tooltip(
        common.VizTooltipOptions()
        .mode(shape.TooltipDisplayMode.MULTI)
        .sort(shape.SortOrder.DESCENDING)
    )
    if one.most is not None:
        created.max(one.most)
    if one.bounds:
        dashed = shape.GraphThresholdsStyleMode.DASHED
        created.thresholds_style(common.GraphThresholdsStyleConfig().mode(dashed))
    return created


def _areas(one: Panel) -> timeseries.Panel:
    stacked = common.StackingConfig().mode(shape.StackingMode.NORMAL)
    return _lines(one).stacking(stacked).fill_opacity(40)


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(shape.LegendDisplayMode.TABLE)
        .placement(shape.LegendPlacement.BOTTOM)
        .calcs(["lastNotNull", "max"])
        .sort_by("Max")
        .sort_desc(True)
    )


def _number(one: Panel) -> stat.Panel:
    created = stat.Panel().reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    created.graph_mode(shape.BigValueGraphMode.NONE).text_mode(shape.BigValueTextMode.AUTO)
    coloured = shape.BigValueColorMode.VALUE if one.bounds or one.names else None
    return created.color_mode(coloured or shape.BigValueColorMode.NONE)


def _states(_one: Panel) -> statetimeline.Panel:
    created = statetimeline.Panel().merge_values(True).row_height(0.8)
    return created.show_value(shape.VisibilityMode.NEVER).legend(_names_only())


def _names_only() -> common.VizLegendOptions:
    created = common.VizLegendOptions().show_legend(True)
    return created.display_mode(shape.LegendDisplayMode.LIST).placement(
        shape.LegendPlacement.BOTTOM
    )


def _table(one: Panel) -> table.Panel:
    if one.queries[0].source is Source.TEMPO:
        return _traces()
    created = table.Panel().show_header(True)
    for query in one.queries:
        if query.unit:
            created.override_by_name(query.legend, [model.DynamicConfigValue("unit", query.unit)])
    created.with_transformation(model.DataTransformerConfig("merge", options={}))
    return created.with_transformation(
        model.DataTransformerConfig("organize", options=_columns(one.queries))
    )


def _columns(queries: Sequence[Query]) -> dict[str, object]:
    """Rows are joined by their labels, and the column of each query is named by its legend."""
    named = {f"Value #{chr(ord('A') + place)}": one.legend for place, one in enumerate(queries)}
    if len(queries) == 1:
        named = {"Value": queries[0].legend}
    return {"excludeByName": {"Time": True}, "renameByName": named}


def _traces() -> table.Panel:
    """A list of traces, in which an id puts itself into the dashboard's variable."""
    url = "/d/${__dashboard.uid}?${__url_time_range}&var-trace_id=${__value.raw}"
    link = {"title": "This question", "url": url}
    created = table.Panel().show_header(True)
    return created.override_by_name("traceID", [model.DynamicConfigValue("links", [link])])


def _heat(one: Panel) -> heatmap.Panel:
    color = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64)
    created = heatmap.Panel().calculate(False).color(color).show_legend()
    return created.y_axis(heatmap.YAxisConfig().unit(one.unit)).exemplars_color("blue")


def _trace(_one: Panel) -> build.Panel:
    """The builders have no word for Grafana's panel of one trace."""
    return build.Panel().type("traces")


def _logs(_one: Panel) -> logs.Panel:
    created = logs.Panel().show_time(True).wrap_log_message(True).enable_log_details(True)
    return created.sort_order(shape.LogsSortOrder.ASCENDING).prettify_log_message(False)


_LOOKS: dict[Kind, Callable[[Panel], Made]] = {
    Kind.LINES: _lines,
    Kind.AREAS: _areas,
    Kind.NUMBER: _number,
    Kind.STATES: _states,
    Kind.TABLE: _table,
    Kind.HEAT: _heat,
    Kind.TRACE: _trace,
    Kind.LOGS: _logs,
}
