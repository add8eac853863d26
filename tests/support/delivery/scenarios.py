"""Releases as series of Prometheus: what their queries must give, and what the checks must say.

Each series has a value a minute for ten minutes; queries are evaluated at the end, over the last five.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rag_delivery.verdicts import Verdict

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
SEARCH, STREAM, DELETE = (
    f"rag.gateway.v1.{name}"
    for name in (
        "AnswerService/Search",
        "AnswerService/StreamAnswer",
        "DocumentService/DeleteDocument",
    )
)
NAN = "nan"

Series = dict[str, str]
# By `LANE SUBJECT`, or by the lane alone.
Values = Mapping[str, float | str]


@dataclass(frozen=True)
class Scenario:
    """`values` are the whole results of the named queries; `verdicts` are by check, or `CHECK SUBJECT`."""

    series: Series
    values: Mapping[str, Values] = field(default_factory=dict)
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    # Results of the metrics for Argo Rollouts; None if empty.
    argo: Mapping[str, float | str | None] = field(default_factory=dict)


def growing(per_minute: float, begin: float = 0) -> str:
    return f"{begin:g}+{per_minute:g}x10"


def named(metric: str, lane: str, **labels: str) -> str:
    every = {"lane": lane, "pod": f"{lane}-0", "service": "gateway", **labels}
    return f"{metric}{{{matchers(every)}}}"


def matchers(labels: Mapping[str, str]) -> str:
    """The labels as PromQL writes them."""
    return ",".join(f'{name}="{value}"' for name, value in labels.items())


def calls(
    lane: str, per_minute: float, method: str = SEARCH, code: str = "OK", **labels: str
) -> Series:
    """Calls whose durations nobody asks for, as of those that fail."""
    every = {"method": method, "code": code, "tier": "standard", "deadline": "", **labels}
    name = "rag_rpc_server_duration_seconds_count"
    return {named(name, lane, **every): growing(per_minute)}


def timed(lane: str, fast: float, slow: float, method: str = SEARCH) -> Series:
    """Successful calls a minute within 0.1 s, and between 0.5 and 1 s."""
    labels = {"method": method, "code": "OK", "tier": "standard", "deadline": ""}
    return _histogram("rag_rpc_server_duration_seconds", lane, fast, slow, labels)


def streams(lane: str, fast: float, slow: float) -> Series:
    """Streams whose first text came within 0.1 s, and between 0.5 and 1 s."""
    return _histogram("rag_stream_first_token_seconds", lane, fast, slow, {})


def answers(lane: str, **outcomes: float) -> Series:
    return {
        named("rag_answers_total", lane, outcome=outcome): growing(per_minute)
        for outcome, per_minute in outcomes.items()
    }


def rated(lane: str, good: float, poor: float) -> Series:
    """Answers of which passages support over nine tenths, and half or less."""
    name = "rag_answer_groundedness"
    return {
        named(f"{name}_bucket", lane, le="0.5"): growing(poor),
        named(f"{name}_bucket", lane, le="1.0"): growing(good + poor),
        named(f"{name}_count", lane): growing(good + poor),
    }


def pods(lane: str, ready: str = "1x10", start: str = "1000x10") -> Series:
    return {
        named("rag_ready", lane): ready,
        named("up", lane): "1x10",
        named("process_start_time_seconds", lane): start,
    }


def _histogram(
    metric: str, lane: str, fast: float, slow: float, labels: Mapping[str, str]
) -> Series:
    below = {"0.05": 0.0, "0.1": fast, "0.5": fast, "1.0": fast + slow, "+Inf": fast + slow}
    buckets = {
        named(f"{metric}_bucket", lane, **labels, le=le): growing(count)
        for le, count in below.items()
    }
    return {**buckets, named(f"{metric}_count", lane, **labels): growing(fast + slow)}


def _both(canary: Series, baseline: Series) -> Series:
    return {**canary, **baseline}


def _healthy(lane: str) -> Series:
    """A lane of a platform on which all is well; 300 searches and 300 streams in five minutes."""
    return {
        **timed(lane, 60, 0),
        **timed(lane, 60, 0, STREAM),
        **streams(lane, 60, 0),
        **answers(lane, answered=54, weak_evidence=6),
        **rated(lane, 57, 3),
        **calls(lane, 6, code="RESOURCE_EXHAUSTED"),
        **pods(lane),
    }


GOOD = Scenario(
    _both(_healthy("canary"), _healthy("baseline")),
    values={
        "calls": {"canary": 600, "baseline": 600},
        "calls_failed": {},
        "method_calls": {
            f"{lane} gateway {method}": 300
            for lane in ("canary", "baseline")
            for method in (SEARCH, STREAM)
        },
        "method_calls_failed": {},
        "successes": {
            f"{lane} {method}": 300
            for lane in ("canary", "baseline")
            for method in (SEARCH, STREAM)
        },
        "duration_p95": {
            f"{lane} {method}": 0.0975
            for lane in ("canary", "baseline")
            for method in (SEARCH, STREAM)
        },
        "streams": {"canary": 300, "baseline": 300},
        "first_token_p95": {"canary": 0.0975, "baseline": 0.0975},
        "answers": {"canary": 300, "baseline": 300},
        "answers_missing": {"canary": 30, "baseline": 30},
        "answers_ungrounded": {},
        "answers_broken": {},
        "answers_rated": {"canary": 300, "baseline": 300},
        "answers_unsupported": {"canary": 15, "baseline": 15},
        "responses": {"canary": 600, "baseline": 600},
        "responses_degraded": {},
        "restarts": {"canary": 0, "baseline": 0},
        "ready": {"canary gateway": 1, "baseline gateway": 1},
        "up": {"canary gateway": 1, "baseline gateway": 1},
    },
    verdicts=dict.fromkeys(
        (
            *("failed_calls", "slow", "slow_first_token", "no_answer", "ungrounded"),
            *("unsupported", "broken", "degraded", "restarts", "ready"),
        ),
        PASS,
    ),
    argo={
        "failed-calls": 0,
        "failed-method-calls": 0,
        "slow": (0.0975 - 0.02) / 0.0975,
        "slow-first-token": (0.0975 - 0.02) / 0.0975,
        "no-answer": 0,
        "ungrounded": 0,
        "unsupported": 0,
        "broken": 0,
        "degraded": 0,
        "restarts": 0,
    },
)

# A tenth of the streams fails with HTTP status 200, from the sixth minute on; searches are well.
ONE_METHOD_FAILS = Scenario(
    _both(
        {
            **_healthy("canary"),
            **timed("canary", 54, 0, STREAM),
            named(
                "rag_rpc_server_duration_seconds_count",
                "canary",
                method=STREAM,
                code="INTERNAL",
                tier="standard",
                deadline="",
            ): "_x6 6 12 18 24 30",
            # Neither of these is the platform's fault.
            **calls("canary", 60, STREAM, "CANCELLED"),
            **calls("canary", 60, STREAM, "DEADLINE_EXCEEDED", deadline="short"),
        },
        _healthy("baseline"),
    ),
    values={
        "calls": {"canary": 600, "baseline": 600},
        "calls_failed": {"canary": 30},
        "method_calls_failed": {f"canary gateway {STREAM}": 30},
    },
    verdicts={
        "failed_calls": FAIL,
        f"failed_method_calls gateway {STREAM}": FAIL,
        f"failed_method_calls gateway {SEARCH}": PASS,
    },
    argo={"failed-calls": 0.05, "failed-method-calls": 0.1},
)

# The release has lost a method: the gateway counts its calls as _OTHER.
METHOD_LOST = Scenario(
    _both(
        {**_healthy("canary"), **calls("canary", 60, "_OTHER", "UNIMPLEMENTED")},
        {**_healthy("baseline"), **calls("baseline", 60, DELETE)},
    ),
    values={
        "calls": {"canary": 900, "baseline": 900},
        "calls_failed": {"canary": 300},
        "method_calls_failed": {"canary gateway _OTHER": 300},
    },
    verdicts={"failed_calls": FAIL},
    argo={"failed-calls": 1 / 3},
)

SLOW = Scenario(
    _both({**_healthy("canary"), **timed("canary", 54, 6)}, _healthy("baseline")),
    values={
        "duration_p95": {
            f"canary {SEARCH}": 0.75,
            f"canary {STREAM}": 0.0975,
            f"baseline {SEARCH}": 0.0975,
            f"baseline {STREAM}": 0.0975,
        }
    },
    verdicts={f"slow {SEARCH}": FAIL, f"slow {STREAM}": PASS, "slow_first_token": PASS},
    argo={"slow": (0.75 - 0.02) / 0.0975},
)

FIRST_TOKEN_SLOW = Scenario(
    _both({**_healthy("canary"), **streams("canary", 54, 6)}, _healthy("baseline")),
    values={"first_token_p95": {"canary": 0.75, "baseline": 0.0975}},
    verdicts={"slow_first_token": FAIL, "slow": PASS},
    argo={"slow-first-token": (0.75 - 0.02) / 0.0975},
)

NO_ANSWER_UP = Scenario(
    _both(
        {**_healthy("canary"), **answers("canary", answered=36, weak_evidence=12, no_passages=12)},
        _healthy("baseline"),
    ),
    values={"answers_missing": {"canary": 120, "baseline": 30}},
    verdicts={"no_answer": FAIL, "ungrounded": PASS, "failed_calls": PASS},
    argo={"no-answer": 0.3},
)

# Citations that no passage supports: answers are dropped, or rated low.
UNGROUNDED_UP = Scenario(
    _both(
        {
            **_healthy("canary"),
            **answers("canary", answered=48, weak_evidence=6, ungrounded=6),
            **rated("canary", 45, 15),
        },
        _healthy("baseline"),
    ),
    values={
        "answers_ungrounded": {"canary": 30},
        "answers_unsupported": {"canary": 75, "baseline": 15},
    },
    verdicts={"ungrounded": FAIL, "unsupported": FAIL},
    argo={"ungrounded": 0.1, "unsupported": 0.2},
)

BROKEN_AND_DEGRADED = Scenario(
    _both(
        {
            **_healthy("canary"),
            **answers("canary", answered=48, weak_evidence=6, cut_short=3, failed=3),
            named("rag_degraded_total", "canary", part="generator"): growing(12),
        },
        {
            **_healthy("baseline"),
            named("rag_degraded_total", "baseline", part="generator"): growing(0),
        },
    ),
    values={
        "answers_broken": {"canary": 30},
        "responses_degraded": {"canary": 60, "baseline": 0},
    },
    verdicts={"broken": FAIL, "degraded": FAIL},
    argo={"broken": 0.1, "degraded": 0.1},
)

RESTARTED = Scenario(
    _both(
        {**_healthy("canary"), **pods("canary", ready="1x8 0 0", start="1000x7 1420x3")},
        _healthy("baseline"),
    ),
    values={
        "restarts": {"canary": 1, "baseline": 0},
        "ready": {"canary gateway": 0, "baseline gateway": 1},
    },
    verdicts={"restarts": FAIL, "ready": FAIL},
    argo={"restarts": 1},
)

# Nine searches and streams in the canary's five minutes: all failed, and still too few.
FEW = Scenario(
    _both(
        {
            **timed("canary", 0, 0),
            **calls("canary", 1.8, code="INTERNAL"),
            **streams("canary", 1.8, 0),
            **answers("canary", failed=1.8),
            **rated("canary", 0, 1.8),
            **pods("canary"),
        },
        _healthy("baseline"),
    ),
    values={
        "calls": {"canary": 9, "baseline": 600},
        "calls_failed": {"canary": 9},
        "streams": {"canary": 9, "baseline": 300},
        "answers": {"canary": 9, "baseline": 300},
        "answers_rated": {"canary": 9, "baseline": 300},
        "responses": {"canary": 0, "baseline": 600},
        # Without a call there is no percentile.
        "duration_p95": {
            f"canary {SEARCH}": NAN,
            f"baseline {SEARCH}": 0.0975,
            f"baseline {STREAM}": 0.0975,
        },
    },
    verdicts={
        **dict.fromkeys(("failed_calls", "broken", "unsupported", "degraded"), INCONCLUSIVE),
        **dict.fromkeys(("slow", "slow_first_token", "no_answer", "ungrounded"), INCONCLUSIVE),
        "ready": PASS,
    },
    argo=dict.fromkeys(
        (
            *("failed-calls", "failed-method-calls", "slow", "slow-first-token", "no-answer"),
            *("ungrounded", "unsupported", "broken", "degraded"),
        )
    ),
)

EMPTY = Scenario(
    {named("up", "stable"): "1x10", **calls("stable", 60), **pods("stable")},
    values={name: {} for name in GOOD.values},
    verdicts=dict.fromkeys(GOOD.verdicts, INCONCLUSIVE),
    argo=dict.fromkeys(GOOD.argo),
)

SCENARIOS = {
    "good": GOOD,
    "one-method-fails": ONE_METHOD_FAILS,
    "method-lost": METHOD_LOST,
    "slow": SLOW,
    "first-token-slow": FIRST_TOKEN_SLOW,
    "no-answer-up": NO_ANSWER_UP,
    "ungrounded-up": UNGROUNDED_UP,
    "broken-and-degraded": BROKEN_AND_DEGRADED,
    "restarted": RESTARTED,
    "few": FEW,
    "empty": EMPTY,
}
