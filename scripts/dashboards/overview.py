"""How it goes: the golden signals of each service and call, the objectives, health, and what fires."""

from scripts.dashboards import golden, objectives
from scripts.dashboards.board import (
    RED,
    SERVICE,
    YES_NO,
    Board,
    Kind,
    Panel,
    Query,
    Section,
    above,
    below,
)
from scripts.dashboards.promql import lacking, quantile, rate

CALLS = objectives.CALLS
HERE = 'service=~"$service"'

_NOW = Section(
    "Now",
    (
        Panel(
            title="Ready",
            says="Whether every replica of each service says that it serves. A service that does "
            "not is named with its reason under Health.",
            queries=(Query("min by (service) (rag_ready)", "{{service}}"),),
            kind=Kind.NUMBER,
            bounds=below(1, 1),
            names=YES_NO,
            runbooks=("RagServiceNotReady",),
            width=6,
            height=5,
        ),
        Panel(
            title="Pages that are read",
            says="Whether Prometheus reaches each service and the edge. A part that it does not "
            "reach has no other panel that can be believed.",
            queries=(Query('min by (job) (up{job=~"rag|envoy"})', "{{job}}"),),
            kind=Kind.NUMBER,
            bounds=below(1, 1),
            names=YES_NO,
            runbooks=("RagInstanceDown", "RagServiceDown", "RagEdgeDown"),
            width=4,
            height=5,
        ),
        Panel(
            title="Calls a second",
            says="Public calls of all kinds, refused ones included.",
            queries=(Query(rate(f"{CALLS}_count", where=objectives.PUBLIC), "calls"),),
            kind=Kind.NUMBER,
            unit="reqps",
            width=3,
            height=5,
        ),
        Panel(
            title="Failed",
            says="Share of public calls that failed through no fault of the caller's: those "
            "whose code counts against availability.",
            queries=(
                Query(
                    lacking(f"{CALLS}_count", objectives.GOOD, where=objectives.PUBLIC), "failed"
                ),
            ),
            kind=Kind.NUMBER,
            unit="percentunit",
            bounds=above(0.001, 0.01),
            runbooks=("RagAvailabilityBudgetBurn",),
            width=3,
            height=5,
        ),
        Panel(
            title="Search, p95",
            says="Time within which 95 of 100 searches are answered. The objective is 200 ms.",
            queries=(Query(quantile(0.95, CALLS, where=objectives.SEARCH), "p95"),),
            kind=Kind.NUMBER,
            unit="s",
            bounds=above(0.15, 0.2),
            runbooks=("RagSearchLatencyBudgetBurn",),
            leads=("rag-journey",),
            width=3,
            height=5,
        ),
        Panel(
            title="What fires",
            says="Alerts that fire at this moment. Each has a page in docs/runbooks of its own "
            "name.",
            empty="nothing fires",
            queries=(
                Query(
                    "count by (alertname, severity, service) "
                    '(ALERTS{alertstate="firing", alertname!="Watchdog"})',
                    "number",
                ),
            ),
            kind=Kind.TABLE,
            bounds=((None, RED),),
            width=5,
            height=5,
        ),
    ),
)


_HEALTH = Section(
    "Health",
    (
        Panel(
            title="Checks",
            says="Each named check of /health/ready. A need that fails takes its service out of "
            "service, a want that fails leaves it degraded.",
            queries=(
                Query(
                    f"min by (service, check, kind) (rag_check_up{{{HERE}}})",
                    "{{service}} {{check}} ({{kind}})",
                ),
            ),
            kind=Kind.STATES,
            bounds=below(1, 1),
            names=YES_NO,
            runbooks=("RagCheckFailing", "RagDegraded"),
            width=12,
            height=10,
        ),
        Panel(
            title="Time of the checks",
            says="How long each check took the last time: one that slows down is about to fail.",
            queries=(
                Query(
                    f"max by (service, check) (rag_check_seconds{{{HERE}}})",
                    "{{service}} {{check}}",
                ),
            ),
            unit="s",
            runbooks=("RagDegraded",),
            width=6,
            height=10,
        ),
        Panel(
            title="What runs",
            says="Replicas by version. Two versions at once are a rollout that goes on, or one "
            "that stands still.",
            queries=(
                Query(
                    f"count by (service, version, python, grpc) (rag_build_info{{{HERE}}})",
                    "replicas",
                ),
            ),
            kind=Kind.TABLE,
            width=6,
            height=10,
        ),
    ),
)

OVERVIEW = Board(
    uid="rag-overview",
    title="RAG overview",
    about="Is it well, and if not, where: golden signals, objectives, health and firing alerts.",
    sections=(_NOW, objectives.SECTION, golden.SECTION, _HEALTH),
    choices=(SERVICE,),
)
