"""Releases: what the analysis of a canary says, and how its lanes compare."""

from tools.dashboards.board import Kind, Query, panel, section
from tools.dashboards.objectives import CALLS, FAIR, GOOD, PUBLIC
from tools.dashboards.promql import lacking, quantile

_LANES = 'lane=~"baseline|canary"'

SECTION = section(
    "Release",
    panel(
        "State of the canary",
        "What the analysis does: starting, analysing, holding for want of a conclusion, promoted or "
        "rolled back.",
        "max by (state) (rag_canary_state)",
        kind=Kind.STATES,
        empty="no canary",
        see=("RagCanaryRolledBack", "RagCanaryHeld"),
        size=(8, 8),
    ),
    panel(
        "Verdicts",
        "The last judgement of each check: 1 passes, 0 is inconclusive, -1 fails.",
        "min by (check) (rag_canary_verdict)",
        kind=Kind.STATES,
        empty="no canary",
        see=("RagCanaryRolledBack", "RagCanaryHeld"),
        size=(8, 8),
    ),
    panel(
        "Shares of the lanes",
        "The share of all calls that each lane is meant to get. A lane without an analysis gets none.",
        Query("max by (lane) (rag_canary_weight)", "{{lane}}"),
        unit="percentunit",
        most=1,
        empty="no canary",
        see=("RagCanaryUnwatched",),
        size=(8, 8),
    ),
    panel(
        "Failed calls by lane",
        "Share of the public calls of each lane that failed through a fault of the platform.",
        Query(lacking(f"{CALLS}_count", GOOD, "lane", f"{PUBLIC}, {FAIR}, {_LANES}"), "{{lane}}"),
        unit="percentunit",
        empty="no canary",
        see=("RagCanaryRolledBack",),
        size=(12, 8),
    ),
    panel(
        "Duration by lane, p95",
        "Time within which 95 of 100 successful public calls of each lane are answered.",
        Query(quantile(0.95, CALLS, "lane", f'{PUBLIC}, code="OK", {_LANES}'), "{{lane}}"),
        unit="s",
        empty="no canary",
        see=("RagCanaryRolledBack",),
        size=(12, 8),
    ),
)
