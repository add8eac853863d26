"""The service level objectives and their burn rates."""

from tools.dashboards.board import Bound, Kind, Query, above, below, panel, section
from tools.dashboards.promql import quantiles

CALLS = "rag_rpc_server_duration_seconds"
PUBLIC = r'service="gateway", method=~"rag[.]gateway[.]v1[.].+"'
SEARCH = 'service="gateway", method="rag.gateway.v1.AnswerService/Search"'

_OURS = "UNAVAILABLE|INTERNAL|DEADLINE_EXCEEDED|UNKNOWN|DATA_LOSS"
_THEIRS = "INVALID_ARGUMENT|UNAUTHENTICATED|PERMISSION_DENIED|RESOURCE_EXHAUSTED|CANCELLED"
# A call that ran out of a time which its caller made too short is no fault, and is not counted at all.
FAIR = 'deadline!="short"'
# Codes that are no fault of the platform's, and those that count for or against its availability.
GOOD = f'code!~"{_OURS}"'
COUNTED = f'code!~"{_THEIRS}"'

_ALLOWED = "0.001"
_BURN: tuple[Bound, ...] = ((None, "green"), (1, "yellow"), (6, "orange"), (14.4, "red"))
_WINDOWS = ("5m", "1h", "6h", "3d")


def _burn(objective: str, allowed: str) -> tuple[Query, ...]:
    """Burn rate: how many times faster than allowed an error budget is used, over each window."""
    return tuple(
        Query(f'rag:slo_missed:ratio_rate{window}{{slo="{objective}"}} / {allowed}', window)
        for window in _WINDOWS
    )


def _failed_in_a_month() -> str:
    counted, well = (
        f"sum(rate({CALLS}_count{{{PUBLIC}, {FAIR}, {codes}}}[30d]))"
        for codes in (COUNTED, f'code!~"{_OURS}|{_THEIRS}"')
    )
    return f"1 - {well} / {counted}"


SECTION = section(
    "Objectives",
    panel(
        "Answered, 30 days",
        "Share of public calls in 30 days that did not fail through our fault, of those that "
        "callers had a right to. The objective is 99.9 %: 43 minutes of a month.",
        Query(f"1 - ({_failed_in_a_month()})", "answered"),
        kind=Kind.NUMBER,
        unit="percentunit",
        bounds=below(0.999, 0.9995),
        see=("RagAvailabilityBudgetBurn",),
        size=(6, 7),
    ),
    panel(
        "Budget left, 30 days",
        "Remaining error budget. Below zero the objective is missed.",
        Query(f"1 - ({_failed_in_a_month()}) / {_ALLOWED}", "left"),
        kind=Kind.NUMBER,
        unit="percentunit",
        bounds=below(0, 0.25),
        see=("RagAvailabilityBudgetBurn",),
        size=(6, 7),
    ),
    panel(
        "Burn of availability",
        "Burn rate of the error budget over several windows. 1 uses it up in exactly 30 days; "
        "14.4 over an hour uses 2 % of it and pages.",
        *_burn("availability", _ALLOWED),
        bounds=_BURN,
        see=("RagAvailabilityBudgetBurn", "rag-journey"),
        size=(12, 7),
    ),
    panel(
        "Burn of speed",
        "The same for searches of more than 200 ms, of which the objective allows 5 in 100.",
        *_burn("search_latency", "0.05"),
        bounds=_BURN,
        see=("RagSearchLatencyBudgetBurn", "rag-journey"),
    ),
    panel(
        "Burn of first events",
        "The same for streams whose first event came after more than 500 ms; the objective allows "
        "5 in 100.",
        *_burn("first_event", "0.05"),
        bounds=_BURN,
        see=("RagFirstEventBudgetBurn", "rag-journey"),
    ),
    panel(
        "Burn of freshness",
        "The same for documents that became searchable after more than a minute; the objective "
        "allows 1 in 100.",
        *_burn("ingest_freshness", "0.01"),
        bounds=_BURN,
        see=("RagIngestFreshnessBudgetBurn", "rag-stores"),
    ),
    panel(
        "Search",
        "p50, p95 and p99 of searches, and the objective of 200 ms for p95. The points are single "
        "calls: one leads to its trace.",
        *quantiles((0.5, 0.95, 0.99), CALLS, where=SEARCH),
        unit="s",
        bounds=above(0.2, 0.4),
        see=("RagSearchLatencyBudgetBurn", "rag-journey"),
    ),
    panel(
        "First event of a stream",
        "From a question's arrival to the first event that has content, the passages: what a "
        "person waits for before anything shows. The objective is 500 ms for p95.",
        *quantiles((0.5, 0.95), "rag_stream_first_event_seconds"),
        unit="s",
        bounds=above(0.5, 1),
        see=("RagFirstEventBudgetBurn", "rag-journey"),
    ),
    panel(
        "Freshness of documents",
        "From a document's arrival to its being searchable, by what came of it. The objective is "
        "a minute for 99 in 100.",
        *quantiles((0.99,), "rag_ingest_duration_seconds", "outcome"),
        unit="s",
        bounds=above(30, 60),
        see=("RagIngestFreshnessBudgetBurn", "rag-stores"),
    ),
)
