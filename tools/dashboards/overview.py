"""Overview: golden signals of each service and call, objectives, health, and firing alerts."""

from tools.dashboards import golden, objectives, releases
from tools.dashboards.board import RED, SERVICE, YES_NO, Board, Kind, Query, above, panel, section
from tools.dashboards.promql import lacking, quantile, rate

CALLS = objectives.CALLS
HERE = 'service=~"$service"'

_NOW = section(
    "Now",
    panel(
        "Ready",
        "Whether every replica of each service says that it serves. A service that does not is "
        "named with its reason under Health.",
        "min by (service) (rag_ready)",
        kind=Kind.NUMBER,
        see=("RagServiceNotReady",),
        size=(6, 5),
        **YES_NO,
    ),
    panel(
        "Pages that are read",
        "Whether Prometheus reaches each service and the edge. A part that it does not reach has "
        "no other panel that can be believed.",
        'min by (job) (up{job=~"rag|envoy"})',
        kind=Kind.NUMBER,
        see=("RagInstanceDown", "RagServiceDown", "RagEdgeDown"),
        size=(4, 5),
        **YES_NO,
    ),
    panel(
        "Calls per second",
        "All public calls, including rejected ones.",
        Query(rate(f"{CALLS}_count", where=objectives.PUBLIC), "calls"),
        kind=Kind.NUMBER,
        unit="reqps",
        size=(3, 5),
    ),
    panel(
        "Failed",
        "Share of public calls that failed through no fault of the caller's: those whose code "
        "counts against availability.",
        Query(
            lacking(
                f"{CALLS}_count", objectives.GOOD, where=f"{objectives.PUBLIC}, {objectives.FAIR}"
            ),
            "failed",
        ),
        kind=Kind.NUMBER,
        unit="percentunit",
        bounds=above(0.001, 0.01),
        see=("RagAvailabilityBudgetBurn",),
        size=(3, 5),
    ),
    panel(
        "Search, p95",
        "Time within which 95 of 100 searches are answered. The objective is 200 ms.",
        Query(quantile(0.95, CALLS, where=objectives.SEARCH), "p95"),
        kind=Kind.NUMBER,
        unit="s",
        bounds=above(0.15, 0.2),
        see=("RagSearchLatencyBudgetBurn", "rag-journey"),
        size=(3, 5),
    ),
    panel(
        "What fires",
        "Alerts that fire at this moment. Each has a page in docs/runbooks of its own name.",
        Query(
            "count by (alertname, severity, service) "
            '(ALERTS{alertstate="firing", alertname!="Watchdog"})',
            "number",
        ),
        kind=Kind.TABLE,
        bounds=((None, RED),),
        empty="nothing fires",
        size=(5, 5),
    ),
)


_HEALTH = section(
    "Health",
    panel(
        "Checks",
        "Each check of /health/ready. A failing required check makes its service not ready, a "
        "failing optional check makes it degraded.",
        Query(
            f"min by (service, check, kind) (rag_check_up{{{HERE}}})",
            "{{service}} {{check}} ({{kind}})",
        ),
        kind=Kind.STATES,
        see=("RagCheckFailing", "RagDegraded"),
        size=(12, 10),
        **YES_NO,
    ),
    panel(
        "Time of the checks",
        "Duration of each check's last run: a check that slows down may soon fail.",
        f"max by (service, check) (rag_check_seconds{{{HERE}}})",
        unit="s",
        see=("RagDegraded",),
        size=(6, 10),
    ),
    panel(
        "What runs",
        "Replicas by version. Two versions at the same time mean a rollout in progress, or a "
        "stuck one.",
        Query(f"count by (service, version, python, grpc) (rag_build_info{{{HERE}}})", "replicas"),
        kind=Kind.TABLE,
        size=(6, 10),
    ),
)

OVERVIEW = Board(
    uid="rag-overview",
    title="RAG overview",
    about="Overall state: golden signals, objectives, health and firing alerts.",
    sections=(_NOW, objectives.SECTION, golden.SECTION, _HEALTH, releases.SECTION),
    choices=(SERVICE,),
)
