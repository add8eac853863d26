"""The settings of a canary's analysis: what they mean, and what its class requires in code."""

from typing import Any

MEANINGS = {
    "steps": "Seconds and per cent of calls for each of both lanes; one is conclusive with a share over 0.",
    "interval": "Seconds between two judgements.",
    "confidence": "Confidence of a judgement.",
    "samples": "Fewest events in each lane without which nothing is said of shares.",
    "tolerance": "Difference of the shares of failed calls, broken and degraded answers that passes.",
    "margin": "Difference of those shares below which there may be a pass.",
    "disaster": "Share of failed calls that ends a release at once.",
    "answers_tolerance": "As tolerance, for answers that decline or that passages do not support.",
    "answers_margin": "As margin, for those answers.",
    "latency_samples": "Fewest calls in each lane without which nothing is said of latency.",
    "latency_ratio": "How many times the baseline's percentile the canary's may be.",
    "latency_seconds": "Seconds that the canary's percentile may be more than that.",
    "must_pass": "Checks that a conclusive step needs to pass, besides readiness and restarts.",
    "failures": "Consecutive failures that end a release, by check; 2 for others.",
    "start_seconds": "Seconds that a lane may take to start.",
    "unready_seconds": "Seconds that a lane may not serve later.",
    "blind_seconds": "Seconds that Prometheus may be unavailable.",
    "hold_seconds": "Seconds that a step waits for a conclusion before it is rolled back.",
    "linger_seconds": "Seconds that the result can be read after the end.",
}


def with_calls(steps: dict[str, Any]) -> dict[str, Any]:
    """The schema of steps of which one must be conclusive and give calls to the canary."""
    calls = {"share": {"exclusiveMinimum": 0}, "conclusive": {"const": True}}
    return steps | {"contains": {"properties": calls}}
