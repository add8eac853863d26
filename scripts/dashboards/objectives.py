"""The objectives of the platform, and how fast their budgets are spent."""

from scripts.dashboards.board import Bound, Kind, Panel, Query, Section, above, below
from scripts.dashboards.promql import quantile

CALLS = "rag_rpc_server_duration_seconds"
PUBLIC = r'service="gateway", method=~"rag[.]gateway[.]v1[.].+"'
SEARCH = 'service="gateway", method="rag.gateway.v1.AnswerService/Search"'

_OURS = "UNAVAILABLE|INTERNAL|DEADLINE_EXCEEDED|UNKNOWN|DATA_LOSS"
_THEIRS = "INVALID_ARGUMENT|UNAUTHENTICATED|PERMISSION_DENIED|RESOURCE_EXHAUSTED|CANCELLED"
# Codes that are no fault of the platform's, and those that count for or against its availability.
GOOD = f'code!~"{_OURS}"'
COUNTED = f'code!~"{_THEIRS}"'

_ALLOWED = "0.001"
_BURN: tuple[Bound, ...] = ((None, "green"), (1, "yellow"), (6, "orange"), (14.4, "red"))
_WINDOWS = ("5m", "1h", "6h", "3d")


def _burn(objective: str, allowed: str) -> tuple[Query, ...]:
    """How many times faster than allowed a budget is spent, over each window; the rules record the ratios."""
    return tuple(
        Query(f'rag:slo_missed:ratio_rate{window}{{slo="{objective}"}} / {allowed}', window)
        for window in _WINDOWS
    )


def _failed_in_a_month() -> str:
    counted, well = (
        f"sum(rate({CALLS}_count{{{PUBLIC}, {codes}}}[30d]))"
        for codes in (COUNTED, f'code!~"{_OURS}|{_THEIRS}"')
    )
    return f"1 - {well} / {counted}"


_MONTH = (
    Panel(
        title="Answered, 30 days",
        says="Share of public calls in 30 days that did not fail through our fault, of those that "
        "callers had a right to. The objective is 99.9 %: 43 minutes of a month.",
        queries=(Query(f"1 - ({_failed_in_a_month()})", "answered"),),
        kind=Kind.NUMBER,
        unit="percentunit",
        bounds=below(0.999, 0.9995),
        runbooks=("RagAvailabilityBudgetBurn",),
        width=6,
        height=7,
    ),
    Panel(
        title="Budget left, 30 days",
        says="What is left of the failures that the objective allows. Below zero it is missed.",
        queries=(Query(f"1 - ({_failed_in_a_month()}) / {_ALLOWED}", "left"),),
        kind=Kind.NUMBER,
        unit="percentunit",
        bounds=below(0, 0.25),
        runbooks=("RagAvailabilityBudgetBurn",),
        width=6,
        height=7,
    ),
)

_BURNS = (
    Panel(
        title="Burn of availability",
        says="How many times faster than allowed the budget of failures is spent, over several "
        "windows. 1 spends it in exactly 30 days; 14.4 over an hour spends 2 % of it and calls "
        "somebody.",
        queries=_burn("availability", _ALLOWED),
        bounds=_BURN,
        runbooks=("RagAvailabilityBudgetBurn",),
        leads=("rag-journey",),
        width=12,
        height=7,
    ),
    Panel(
        title="Burn of speed",
        says="The same for searches of more than 200 ms, of which the objective allows 5 in 100.",
        queries=_burn("search_latency", "0.05"),
        bounds=_BURN,
        runbooks=("RagSearchLatencyBudgetBurn",),
        leads=("rag-journey",),
    ),
    Panel(
        title="Burn of first events",
        says="The same for streams whose first event came after more than 500 ms: 5 in 100 may.",
        queries=_burn("first_event", "0.05"),
        bounds=_BURN,
        runbooks=("RagFirstEventBudgetBurn",),
        leads=("rag-journey",),
    ),
    Panel(
        title="Burn of freshness",
        says="The same for documents that became searchable after more than a minute: 1 in 100 may.",
        queries=_burn("ingest_freshness", "0.01"),
        bounds=_BURN,
        runbooks=("RagIngestFreshnessBudgetBurn",),
        leads=("rag-stores",),
    ),
)

_TIMES = (
    Panel(
        title="Search",
        says="p50, p95 and p99 of searches, and the objective of 200 ms for p95. The points are "
        "single calls: one leads to its trace.",
        queries=tuple(
            Query(quantile(q, CALLS, where=SEARCH), f"p{round(q * 100)}") for q in (0.5, 0.95, 0.99)
        ),
        unit="s",
        bounds=above(0.2, 0.4),
        runbooks=("RagSearchLatencyBudgetBurn",),
        leads=("rag-journey",),
    ),
    Panel(
        title="First event of a stream",
        says="From a question's arrival to the first event that has content, the passages: what a "
        "person waits for before anything shows. The objective is 500 ms for p95.",
        queries=tuple(
            Query(quantile(q, "rag_stream_first_event_seconds"), f"p{round(q * 100)}")
            for q in (0.5, 0.95)
        ),
        unit="s",
        bounds=above(0.5, 1),
        runbooks=("RagFirstEventBudgetBurn",),
        leads=("rag-journey",),
    ),
    Panel(
        title="Freshness of documents",
        says="From a document's arrival to its being searchable, by what came of it. The objective "
        "is a minute for 99 in 100.",
        queries=(
            Query(quantile(0.99, "rag_ingest_duration_seconds", "outcome"), "{{outcome}} p99"),
        ),
        unit="s",
        bounds=above(30, 60),
        runbooks=("RagIngestFreshnessBudgetBurn",),
        leads=("rag-stores",),
    ),
)

SECTION = Section("Objectives", (*_MONTH, *_BURNS, *_TIMES))
