"""The golden signals of each service and call: rate, errors, time, saturation."""

from tools.dashboards.board import Kind, Query, above, panel, section
from tools.dashboards.objectives import CALLS, FAIR, GOOD
from tools.dashboards.promql import lacking, quantile, quantiles, rate

HERE = 'service=~"$service"'

SECTION = section(
    "Golden signals",
    panel(
        "Rate by service",
        "Calls that each service ended. A question is one call of the gateway and one or two of "
        "each service behind it.",
        rate(f"{CALLS}_count", "service", HERE),
        unit="reqps",
        see=("RagServiceDown",),
    ),
    panel(
        "Errors by service and code",
        "Calls that ended otherwise than OK. INVALID_ARGUMENT, NOT_FOUND and UNAUTHENTICATED are "
        "callers' doing; UNAVAILABLE, INTERNAL and DEADLINE_EXCEEDED are ours.",
        rate(f"{CALLS}_count", "service, code", f'{HERE}, code!="OK"'),
        unit="reqps",
        empty="no errors",
        see=("RagAvailabilityBudgetBurn", "RagErrorReasonSpike"),
    ),
    panel(
        "Refusals by reason",
        "Why calls ended in an error, by the reason that callers branch on; docs/errors.md has "
        "them all.",
        rate("rag_rpc_refusals_total", "service, reason", HERE),
        unit="reqps",
        see=("RagErrorReasonSpike", "rag-tenants"),
    ),
    panel(
        "Time by service",
        "p50, p95 and p99 of all calls of a service. The points are single calls: one leads to "
        "its trace.",
        *quantiles((0.5, 0.95, 0.99), CALLS, "service", HERE),
        unit="s",
        see=("RagSearchLatencyBudgetBurn", "rag-journey"),
    ),
    panel(
        "Room in use",
        "Calls in progress, compared with the limit of concurrent calls. At 100 % further calls "
        "are rejected with OVERLOADED.",
        f"max by (service) (rag_rpc_server_in_flight{{{HERE}}} / "
        f"rag_rpc_server_capacity{{{HERE}}})",
        unit="percentunit",
        bounds=above(0.6, 0.8),
        see=("RagInFlightHigh", "rag-capacity"),
    ),
    panel(
        "Degraded replies",
        "Responses marked as degraded, by the unavailable part. Empty means that everything was "
        "available.",
        rate("rag_degraded_total", "part"),
        unit="reqps",
        empty="none is degraded",
        see=("RagAnswersDegraded", "rag-quality"),
    ),
    panel(
        "Each call",
        "One line for each method of each service: how often, which share failed through our "
        "fault, and how long.",
        Query(rate(f"{CALLS}_count", "service, method", HERE), "calls", unit="reqps"),
        Query(
            lacking(f"{CALLS}_count", GOOD, "service, method", f"{HERE}, {FAIR}"),
            "failed",
            unit="percentunit",
        ),
        Query(quantile(0.5, CALLS, "service, method", HERE), "p50", unit="s"),
        Query(quantile(0.95, CALLS, "service, method", HERE), "p95", unit="s"),
        kind=Kind.TABLE,
        see=("RagAvailabilityBudgetBurn", "RagSearchLatencyBudgetBurn", "rag-journey"),
        size=(24, 10),
    ),
)
