"""Who uses how much, and what is refused to whom."""

from scripts.dashboards.board import (
    YES_NO,
    Board,
    Choice,
    Kind,
    Panel,
    Query,
    Section,
    above,
    below,
)
from scripts.dashboards.objectives import GOOD
from scripts.dashboards.promql import lacking, quantile, rate, share

CALLS = "rag_rpc_server_duration_seconds"
HERE = 'service="gateway", tier=~"$tier"'
TIER = Choice("tier", f'{CALLS}_count{{service="gateway"}}', "tier")

_TIERS = Section(
    "By tier",
    (
        Panel(
            title="Calls by tier",
            says="Public calls by the tier of the caller's token. Tenants are not named here: "
            "the call lines in the logs have them.",
            queries=(Query(rate(f"{CALLS}_count", "tier", HERE), "{{tier}}"),),
            unit="reqps",
            runbooks=("RagTierRefused",),
        ),
        Panel(
            title="Failed by tier",
            says="Share of each tier's calls that failed through our fault. One tier alone is a "
            "limit or a part that only it uses.",
            queries=(Query(lacking(f"{CALLS}_count", GOOD, "tier", HERE), "{{tier}}"),),
            unit="percentunit",
            bounds=above(0.001, 0.01),
            runbooks=("RagAvailabilityBudgetBurn",),
        ),
        Panel(
            title="Time by tier",
            says="p95 of calls by tier. Tenants take turns, so that one tier's flood should not "
            "show in another's line. The points are single calls.",
            queries=(Query(quantile(0.95, CALLS, "tier", HERE), "{{tier}} p95"),),
            unit="s",
            runbooks=("RagSearchLatencyBudgetBurn",),
            leads=("rag-journey",),
        ),
    ),
)

_REFUSED = Section(
    "Refused",
    (
        Panel(
            title="Refused by quotas",
            says="Calls refused because a tenant or credential has used up its calls, streams or "
            "tokens.",
            empty="nobody is refused",
            queries=(
                Query(
                    rate("rag_quota_refusals_total", "subject, unit, tier", 'tier=~"$tier"'),
                    "{{tier}} {{subject}} {{unit}}",
                ),
            ),
            unit="reqps",
            runbooks=("RagTierRefused",),
        ),
        Panel(
            title="Refused by reason",
            says="All of the gateway's refusals. RATE_LIMITED and TOKEN_BUDGET are quotas; "
            "CONCURRENCY_LIMIT and OVERLOADED are room; TOKEN_ and SCOPE_ are credentials.",
            queries=(
                Query(rate("rag_rpc_refusals_total", "reason", 'service="gateway"'), "{{reason}}"),
            ),
            unit="reqps",
            runbooks=("RagErrorReasonSpike",),
        ),
        Panel(
            title="Audited",
            says="What the audit log has lines about, by event and outcome: who was refused, and "
            "who made, listed or revoked keys and tokens.",
            queries=(
                Query(rate("rag_audit_events_total", "event, outcome"), "{{event}} {{outcome}}"),
            ),
            unit="reqps",
            runbooks=("RagErrorReasonSpike",),
        ),
    ),
)

_USED = Section(
    "Used",
    (
        Panel(
            title="Tokens spent",
            says="Tokens a second settled against the budgets of each tier.",
            queries=(Query(rate("rag_tokens_spent_total", "tier", 'tier=~"$tier"'), "{{tier}}"),),
            kind=Kind.AREAS,
            runbooks=("RagTierRefused",),
            leads=("rag-quality",),
        ),
        Panel(
            title="Counts are shared",
            says="Whether quotas are counted in Redis, for all replicas together. Where not, "
            "each replica counts for itself and allows the whole quota.",
            queries=(Query("min by (instance) (rag_quota_store_up)", "{{instance}}"),),
            kind=Kind.STATES,
            bounds=below(1, 1),
            names=YES_NO,
            runbooks=("RagQuotaStoreDown",),
            leads=("rag-stores",),
        ),
        Panel(
            title="Credentials known",
            says="Share of tokens and API keys that were checked before and need no signature or "
            "look-up.",
            queries=(
                Query(
                    share(
                        "rag_cache_requests_total",
                        'outcome="hit"',
                        "cache",
                        'cache=~"tokens|api_keys"',
                    ),
                    "{{cache}}",
                ),
            ),
            unit="percentunit",
            most=1,
        ),
    ),
)

_TURNS = Section(
    "Turns",
    (
        Panel(
            title="Searches",
            says="Searches under way and waiting, against the places that there are. Tenants "
            "take turns for them.",
            queries=(
                Query("sum(rag_searches_running)", "running"),
                Query("sum(rag_searches_waiting)", "waiting"),
                Query("sum(rag_searches_capacity)", "places"),
            ),
            runbooks=("RagSearchesWaiting",),
            leads=("rag-capacity",),
        ),
        Panel(
            title="Longest wait for a turn",
            says="How long the search waits that has waited longest.",
            queries=(
                Query("max by (instance) (rag_searches_oldest_wait_seconds)", "{{instance}}"),
            ),
            unit="s",
            bounds=above(0.5, 1),
            runbooks=("RagSearchesWaiting",),
            leads=("rag-capacity",),
        ),
        Panel(
            title="Wait for a turn",
            says="What questions waited before their search began, of those that ended.",
            queries=tuple(
                Query(
                    quantile(q, "rag_stage_duration_seconds", where='stage="queue"'),
                    f"p{round(q * 100)}",
                )
                for q in (0.5, 0.95, 0.99)
            ),
            unit="s",
            bounds=above(0.05, 0.1),
            runbooks=("RagSearchesWaiting",),
            leads=("rag-journey",),
        ),
    ),
)

TENANTS = Board(
    uid="rag-tenants",
    title="RAG tenants and limits",
    about="Who uses how much, what is refused, and whether tenants wait for one another.",
    sections=(_TIERS, _REFUSED, _USED, _TURNS),
    choices=(TIER,),
)
