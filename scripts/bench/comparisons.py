"""What was measured in turns: ways to the gateway, and one tenant beside another."""

from collections.abc import Sequence

from scripts.bench.costs import AT_ONCE, ROUNDS, Cost
from scripts.bench.fairness import EQUAL, Share
from scripts.bench.tables import table


def cost_section(costs: Sequence[Cost]) -> list[str]:
    names = ["way", "CPU ms/search", "more than the first", "than without the edge"]
    spent = ["Envoy", "gateway", "embedder", "retriever", "Redis"]
    return [
        "## What the edge costs",
        "",
        f"CPU of all servers' processes a search, {AT_ONCE} at once; the client's is not counted. The "
        f"ways are measured in turn for a few seconds each, {ROUNDS} rounds, on two platforms that run "
        "side by side, and compared round by round; ± is the standard error. The edge has TLS and "
        "checks the token; the limits of a caller with a token are counted by the gateway on every way, "
        "and the edge asks it only about callers without one, of whom there are none here. Trusted means "
        "certificates from Vault, mutual TLS between all services and limits in Redis.",
        "",
        *table(
            [*names, *spent, "p50 ms at 1", "p95 ms at 1"], list(map(_cost_row, *_beside(costs)))
        ),
    ]


def tracing_section(costs: Sequence[Cost]) -> list[str]:
    silent, traced = costs
    slower, more = traced.slower(silent), traced.over(silent)
    rows = [
        [cost.way, f"{sum(cost.rates) / len(cost.rates):.1f}", f"{sum(cost.parts.values()):.1f}"]
        for cost in costs
    ]
    return [
        "## What tracing costs",
        "",
        f"Two platforms side by side, {AT_ONCE} searches at once on each in turn, {ROUNDS} rounds; one "
        "sends the spans of every call to a collector on the same cores.",
        "",
        *table(["platform", "searches/s", "CPU ms/search"], rows),
        "",
        f"Traced, a search costs {more.mean:+.2f} ± {more.error:.2f} ms of CPU, and there are "
        f"{slower.mean:.1%} ± {slower.error:.1%} fewer a second.",
    ]


def _beside(costs: Sequence[Cost]) -> tuple[Sequence[Cost], list[Cost], list[Cost]]:
    """Each way, the first of all, and the same platform's without the edge, which comes before it."""
    without = [costs[number - number % 2] for number in range(len(costs))]
    return costs, [costs[0]] * len(costs), without


def _cost_row(cost: Cost, first: Cost, without: Cost) -> list[str]:
    parts, alone = cost.parts, cost.latency
    return [
        cost.way,
        f"{sum(parts.values()):.1f}",
        *(_extra(cost, other) for other in (first, without)),
        *(
            f"{parts[name]:.2f}" if name in parts else ""
            for name in ("envoy", "gateway", "embedder", "retriever", "redis")
        ),
        f"{alone.p50:.1f}",
        f"{alone.p95:.1f}",
    ]


def _extra(cost: Cost, other: Cost) -> str:
    if cost is other:
        return ""
    more = cost.over(other)
    return f"{more.mean:+.1f} ± {more.error:.1f}"


def fairness_section(shares: Sequence[Share]) -> list[str]:
    alone = next(share for share in shares if not share.rival).latency
    equal = next(share for share in shares if share.rival == EQUAL).latency
    times = ["p50 ms", "p95 ms", "p99 ms", "p95 to alone", "p95 to a fair rival"]
    return [
        "## One tenant beside another",
        "",
        "A tenant with one caller, and a rival with so many; searches in closed loops, each tenant's "
        "callers in a process of their own on the same cores, the rival's with a lower priority. "
        f"A rival with {EQUAL} callers just keeps two cores busy: what is felt of that is the fair "
        "share, and what is felt of more is measured against it.",
        "",
        *table(
            ["rival's callers", *times, "searches/s", "rival's searches/s", "errors"],
            [_share_row(share, alone.p95, equal.p95) for share in shares],
        ),
    ]


def _share_row(share: Share, alone: float, equal: float) -> list[str]:
    felt = share.latency
    return [
        str(share.rival),
        *(f"{value:.1f}" for value in (felt.p50, felt.p95, felt.p99)),
        *(f"{felt.p95 / other:.2f}" for other in (alone, equal)),
        f"{share.rate:.1f}",
        f"{share.rival_rate:.1f}",
        str(sum(share.errors.values())),
    ]
