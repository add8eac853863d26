"""Tests of the burn-rate alerts: every objective burns not at all, slowly and fast."""

from collections.abc import Iterable
from typing import Any

# Each window with the severity of its alert and the burn rate that it allows.
WINDOWS = {
    "1h": ("page", "14.4"),
    "6h": ("page", "6"),
    "1d": ("ticket", "3"),
    "3d": ("ticket", "1"),
}
# Each alert with its objective's label and title, and how it describes what was missed in a window.
OBJECTIVES = {
    "RagAvailabilityBudgetBurn": (
        "availability",
        "99.9 % of calls without a fault",
        "public calls in the last {} failed through a fault of the platform; the objective allows 0.1 %.",
    ),
    "RagSearchLatencyBudgetBurn": (
        "search_latency",
        "95 % of searches within 200 ms",
        "searches in the last {} took more than 200 ms; the objective allows 5 %.",
    ),
    "RagFirstEventBudgetBurn": (
        "first_event",
        "95 % of streams with a first event within 500 ms",
        "streamed answers in the last {} had no content within 500 ms; the objective allows 5 %.",
    ),
    "RagIngestFreshnessBudgetBurn": (
        "ingest_freshness",
        "99 % of documents searchable within a minute",
        "documents in the last {} took more than a minute to become searchable; the objective allows 1 %.",
    ),
}
AVAILABILITY = "RagAvailabilityBudgetBurn"
GATEWAY = 'job="rag",service="gateway",instance="gateway:50071"'
METHOD = f'{GATEWAY},tier="free",method="rag.gateway.v1.AnswerService'
CALLS = "rag_rpc_server_duration_seconds"


def calls(code: str, values: str, more: str = "") -> dict[str, str]:
    """The series of the calls of Answer that ended with this status code."""
    return {f'{CALLS}_count{{{METHOD}/Answer",code="{code}"{more}}}': values}


def histogram(name: str, labels: str, bound: str, missed: int) -> dict[str, str]:
    """The series of a hundred observations a minute, of which so many exceed the bound."""
    return {
        f'{name}_bucket{{{labels},le="{bound}"}}': f"0+{100 - missed}x600",
        f'{name}_bucket{{{labels},le="+Inf"}}': "0+100x600",
        f"{name}_count{{{labels}}}": "0+100x600",
    }


def traffic(faults: int, searches: int, events: int, documents: int) -> dict[str, str]:
    """A thousand calls a minute, a hundred of them searches, and so many that miss their objective.

    As many calls again are rejected through the caller's fault.
    """
    return {
        **calls("OK", f"0+{900 - faults}x600"),
        **calls("UNAVAILABLE", f"0+{faults}x600"),
        **calls("RESOURCE_EXHAUSTED", "0+500x600"),
        **calls("INVALID_ARGUMENT", "0+500x600"),
        **histogram(CALLS, f'{METHOD}/Search",code="OK"', "0.2", searches),
        **histogram("rag_stream_first_event_seconds", GATEWAY, "0.5", events),
        **histogram(
            "rag_ingest_duration_seconds", f'{GATEWAY},outcome="created"', "60.0", documents
        ),
    }


def burning(
    at: str, share: str, windows: Iterable[str] = WINDOWS, alert: str = AVAILABILITY
) -> list[dict[str, Any]]:
    """The alert, firing for these windows: so large a share missed the objective."""
    slo, title, description = OBJECTIVES[alert]
    return [
        {
            "at": at,
            "labels": {"alertname": alert, "service": "gateway", "slo": slo}
            | {"severity": WINDOWS[window][0], "window": window},
            "summary": f'Error budget of the objective "{title}" burns at '
            f"{WINDOWS[window][1]} times the allowed rate",
            "description": f"{share} of the {description.format(window)}",
        }
        for window in windows
    ]


def all_burning(shares: Iterable[str], windows: Iterable[str]) -> list[dict[str, Any]]:
    pairs = zip(OBJECTIVES, shares, strict=True)
    return [one for alert, share in pairs for one in burning("8h", share, windows, alert)]


_TESTS: list[dict[str, Any]] = [
    {"series": traffic(0, 0, 0, 0), "silent": dict.fromkeys(OBJECTIVES, ("6h",))},
    # A slow burn: the ticket of the longest window, and nothing else.
    {"series": traffic(2, 8, 8, 2), "firing": all_burning(("0.2%", "8%", "8%", "2%"), ["3d"])},
    {
        "series": traffic(100, 90, 90, 30),
        "silent": dict.fromkeys(OBJECTIVES, ("0m",)),
        "firing": all_burning(("10%", "90%", "90%", "30%"), WINDOWS),
    },
    # Half of the calls ran out of a deadline that was too short: nothing is missed.
    {
        "series": calls("OK", "0+1000x600")
        | calls("DEADLINE_EXCEEDED", "0+1000x600", ',deadline="short"'),
        "silent": {AVAILABILITY: ["6h"]},
    },
    # A hundredth ran out of a deadline that was long enough; calls with a short one do not count.
    {
        "series": calls("OK", "0+990x600")
        | calls("DEADLINE_EXCEEDED", "0+10x600")
        | calls("DEADLINE_EXCEEDED", "0+9000x600", ',deadline="short"'),
        "firing": burning("6h", "1%", ["6h", "1d", "3d"]),
    },
    # After the faults pages end with the short windows, and tickets stay.
    {
        "series": calls("OK", "0+1000x600") | calls("INTERNAL", "0+100x60 6000x540"),
        "firing": burning("1h", "9.091%")
        + burning("90m", "6.25%", ["1d", "3d"])
        + burning("2h", "4.762%", ["1d", "3d"]),
    },
    # Three faults in a quiet night are no rate.
    {
        "series": calls("OK", "0+1x600") | calls("UNKNOWN", "0x60 1x60 2x60 3x420"),
        "silent": {AVAILABILITY: ["2h", "4h"]},
    },
]
# No alert waits longer than half an hour before it fires.
SLO_TESTS = [{"every": "30m", **test} for test in _TESTS]
