"""Usage and rejections by tenant and tier."""

from tools.dashboards.board import YES_NO, Board, Choice, Kind, Query, above, panel, section
from tools.dashboards.objectives import FAIR, GOOD
from tools.dashboards.promql import lacking, quantiles, rate, share

CALLS = "rag_rpc_server_duration_seconds"
HERE = 'service="gateway", tier=~"$tier"'
TIER = Choice("tier", f'{CALLS}_count{{service="gateway"}}', "tier")

_TIERS = section(
    "By tier",
    panel(
        "Calls by tier",
        "Public calls by the tier of the caller's token. Tenants are not named here: the call "
        "lines in the logs have them.",
        rate(f"{CALLS}_count", "tier", HERE),
        unit="reqps",
        see=("RagTierRefused",),
    ),
    panel(
        "Failed by tier",
        "Share of each tier's calls that failed through our fault. One tier alone is a limit or a "
        "part that only it uses.",
        lacking(f"{CALLS}_count", GOOD, "tier", f"{HERE}, {FAIR}"),
        unit="percentunit",
        bounds=above(0.001, 0.01),
        see=("RagAvailabilityBudgetBurn",),
    ),
    panel(
        "Time by tier",
        "p95 of calls by tier. Because of fair sharing, one tier's burst should not affect "
        "another's line. The points are single calls.",
        *quantiles((0.95,), CALLS, "tier", HERE),
        unit="s",
        see=("RagSearchLatencyBudgetBurn", "rag-journey"),
    ),
)

_REFUSED = section(
    "Rejected",
    panel(
        "Rejected by quotas",
        "Calls rejected because a tenant or credential has used up its calls, streams or tokens.",
        Query(
            rate("rag_quota_refusals_total", "subject, unit, tier", 'tier=~"$tier"'),
            "{{tier}} {{subject}} {{unit}}",
        ),
        unit="reqps",
        empty="nobody is refused",
        see=("RagTierRefused",),
    ),
    panel(
        "Rejections by reason",
        "All of the gateway's refusals. RATE_LIMITED and TOKEN_BUDGET are quotas; "
        "CONCURRENCY_LIMIT and OVERLOADED are about capacity; TOKEN_ and SCOPE_ about "
        "credentials.",
        rate("rag_rpc_refusals_total", "reason", 'service="gateway"'),
        unit="reqps",
        see=("RagErrorReasonSpike",),
    ),
    panel(
        "Audited",
        "Entries of the audit log, by event and outcome: denied calls, and created, listed or "
        "revoked keys and tokens.",
        rate("rag_audit_events_total", "event, outcome"),
        unit="reqps",
        see=("RagErrorReasonSpike",),
    ),
)

_USED = section(
    "Used",
    panel(
        "Tokens spent",
        "Tokens per second charged to the budgets of each tier.",
        rate("rag_tokens_spent_total", "tier", 'tier=~"$tier"'),
        kind=Kind.AREAS,
        see=("RagTierRefused", "rag-quality"),
    ),
    panel(
        "Counts are shared",
        "Whether quotas are counted in Redis, for all replicas together. Otherwise each replica "
        "counts on its own and allows the full quota.",
        "min by (instance) (rag_quota_store_up)",
        kind=Kind.STATES,
        see=("RagQuotaStoreDown", "rag-stores"),
        **YES_NO,
    ),
    panel(
        "Credentials known",
        "Share of tokens and API keys that were checked before and need no signature or look-up.",
        share("rag_cache_requests_total", 'outcome="hit"', "cache", 'cache=~"tokens|api_keys"'),
        unit="percentunit",
        most=1,
    ),
)

_TURNS = section(
    "Turns",
    panel(
        "Searches",
        "Searches running and waiting, compared with the number of slots, which are shared fairly "
        "between tenants.",
        Query("sum(rag_searches_running)", "running"),
        Query("sum(rag_searches_waiting)", "waiting"),
        Query("sum(rag_searches_capacity)", "places"),
        see=("RagSearchesWaiting", "rag-capacity"),
    ),
    panel(
        "Longest wait for a turn",
        "Waiting time of the oldest waiting search.",
        "max by (instance) (rag_searches_oldest_wait_seconds)",
        unit="s",
        bounds=above(0.5, 1),
        see=("RagSearchesWaiting", "rag-capacity"),
    ),
    panel(
        "Wait for a turn",
        "Waiting time of completed questions before their search began.",
        *quantiles((0.5, 0.95, 0.99), "rag_stage_duration_seconds", where='stage="queue"'),
        unit="s",
        bounds=above(0.05, 0.1),
        see=("RagSearchesWaiting", "rag-journey"),
    ),
)

TENANTS = Board(
    uid="rag-tenants",
    title="RAG tenants and limits",
    about="Usage, rejections, and whether tenants wait for each other.",
    sections=(_TIERS, _REFUSED, _USED, _TURNS),
    choices=(TIER,),
)
