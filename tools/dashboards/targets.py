"""Queries in Grafana's form, each put to the data source that a variable of the dashboard names."""

from grafana_foundation_sdk.builders import loki, prometheus, tempo
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.tempo import SearchTableType

from tools.dashboards.board import Kind, Query, Source

Target = prometheus.Dataquery | tempo.TempoQuery | loki.Dataquery

_MOST_LINES = 500
_MOST_TRACES = 20


def data_source(source: Source) -> DataSourceRef:
    """The data source that the variable of this name stands for."""
    return DataSourceRef(type_val=source.value, uid=f"${{{source.value}}}")


def target(query: Query, kind: Kind, place: int) -> Target:
    """The query at this place of a panel of this kind."""
    name = chr(ord("A") + place)
    if query.source is Source.TEMPO:
        return _traces(query, name)
    if query.source is Source.LOKI:
        created = loki.Dataquery().expr(query.text).max_lines(_MOST_LINES).ref_id(name)
        return created.query_type("range").datasource(data_source(Source.LOKI))
    return _series(query, kind, name)


def _traces(query: Query, name: str) -> tempo.TempoQuery:
    created = tempo.TempoQuery().query(query.text).query_type("traceql").ref_id(name)
    created.limit(_MOST_TRACES).table_type(SearchTableType.TRACES)
    return created.datasource(data_source(Source.TEMPO))


def _series(query: Query, kind: Kind, name: str) -> prometheus.Dataquery:
    created = prometheus.Dataquery().expr(query.text).ref_id(name)
    created.datasource(data_source(Source.PROMETHEUS)).legend_format(query.legend or "__auto")
    if kind is Kind.TABLE:
        return created.instant().format(PromQueryFormat.TABLE)
    if kind is Kind.NUMBER:
        return created.instant()
    if kind is Kind.HEAT:
        created.format(PromQueryFormat.HEATMAP)
    return created.range().exemplar(has_exemplars(query.text))


def has_exemplars(expr: str) -> bool:
    """Whether the expression is of a histogram of the services; the edge's have no exemplars."""
    return "rag_" in expr and "_bucket" in expr
