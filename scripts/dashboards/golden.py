"""The golden signals of each service and call: rate, errors, time, saturation."""

from scripts.dashboards.board import Kind, Panel, Query, Section, above
from scripts.dashboards.objectives import CALLS, GOOD
from scripts.dashboards.promql import lacking, quantile, rate

HERE = 'service=~"$service"'

SECTION = Section(
    "Golden signals",
    (
        Panel(
            title="Rate by service",
            says="Calls that each service ended. A question is one call of the gateway and one "
            "or two of each service behind it.",
            queries=(Query(rate(f"{CALLS}_count", "service", HERE), "{{service}}"),),
            unit="reqps",
            runbooks=("RagServiceDown",),
        ),
        Panel(
            title="Errors by service and code",
            says="Calls that ended otherwise than OK. INVALID_ARGUMENT, NOT_FOUND and "
            "UNAUTHENTICATED are callers' doing; UNAVAILABLE, INTERNAL and DEADLINE_EXCEEDED are "
            "ours.",
            empty="no errors",
            queries=(
                Query(
                    rate(f"{CALLS}_count", "service, code", f'{HERE}, code!="OK"'),
                    "{{service}} {{code}}",
                ),
            ),
            unit="reqps",
            runbooks=("RagAvailabilityBudgetBurn", "RagErrorReasonSpike"),
        ),
        Panel(
            title="Refusals by reason",
            says="Why calls ended in an error, by the reason that callers branch on; "
            "docs/errors.md has them all.",
            queries=(
                Query(
                    rate("rag_rpc_refusals_total", "service, reason", HERE),
                    "{{service}} {{reason}}",
                ),
            ),
            unit="reqps",
            runbooks=("RagErrorReasonSpike",),
            leads=("rag-tenants",),
        ),
        Panel(
            title="Time by service",
            says="p50, p95 and p99 of all calls of a service. The points are single calls: one "
            "leads to its trace.",
            queries=tuple(
                Query(quantile(q, CALLS, "service", HERE), f"{{{{service}}}} p{round(q * 100)}")
                for q in (0.5, 0.95, 0.99)
            ),
            unit="s",
            runbooks=("RagSearchLatencyBudgetBurn",),
            leads=("rag-journey",),
        ),
        Panel(
            title="Room in use",
            says="Calls being served, against the most that a service serves at once. At 100 % "
            "further calls are refused with OVERLOADED.",
            queries=(
                Query(
                    f"max by (service) (rag_rpc_server_in_flight{{{HERE}}} / "
                    f"rag_rpc_server_capacity{{{HERE}}})",
                    "{{service}}",
                ),
            ),
            unit="percentunit",
            bounds=above(0.6, 0.8),
            runbooks=("RagInFlightHigh",),
            leads=("rag-capacity",),
        ),
        Panel(
            title="Degraded replies",
            says="Replies marked as degraded, by the part that was away. Nothing here means that "
            "nothing was.",
            empty="none is degraded",
            queries=(Query(rate("rag_degraded_total", "part"), "{{part}}"),),
            unit="reqps",
            runbooks=("RagAnswersDegraded",),
            leads=("rag-quality",),
        ),
        Panel(
            title="Each call",
            says="One line for each method of each service: how often, which share failed "
            "through our fault, and how long.",
            queries=(
                Query(rate(f"{CALLS}_count", "service, method", HERE), "calls", unit="reqps"),
                Query(
                    lacking(f"{CALLS}_count", GOOD, "service, method", HERE),
                    "failed",
                    unit="percentunit",
                ),
                Query(quantile(0.5, CALLS, "service, method", HERE), "p50", unit="s"),
                Query(quantile(0.95, CALLS, "service, method", HERE), "p95", unit="s"),
            ),
            kind=Kind.TABLE,
            runbooks=("RagAvailabilityBudgetBurn", "RagSearchLatencyBudgetBurn"),
            leads=("rag-journey",),
            width=24,
            height=10,
        ),
    ),
)
