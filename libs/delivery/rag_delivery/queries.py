"""What the analysis asks Prometheus: PromQL for both lanes, with the window still open.

`$LANES` stands for a regular expression of lanes and `$WINDOW` for a duration, such as `300s`. Counters
are compared with their value a window ago, and one that is new since then counts from 0: `increase`
would extrapolate, and would miss the first event of a code that did not occur before. A test of
proportions needs whole numbers of events.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from string import Template

BASELINE, CANARY = "baseline", "canary"

_LANES = 'lane=~"$LANES"'
# As for the objective of availability (docs/runbooks/README.md); and a method that a release has lost.
_FAILED = 'code=~"UNAVAILABLE|INTERNAL|DEADLINE_EXCEEDED|UNKNOWN|DATA_LOSS|UNIMPLEMENTED"'
_VALID = (
    'code!~"INVALID_ARGUMENT|UNAUTHENTICATED|PERMISSION_DENIED|RESOURCE_EXHAUSTED|CANCELLED",'
    'deadline!="short"'
)
# What the gateway does not know is _OTHER: a method that a release has lost among them.
_PUBLIC = 'service="gateway",method=~"rag[.]gateway[.]v1[.].+|_OTHER"'
_EVERY = 'method=~"rag[.].+|_OTHER"'
_ANSWERS = (
    'service="gateway",code="OK",'
    'method=~"rag[.]gateway[.]v1[.]AnswerService/(Answer|StreamAnswer|Search)"'
)
_CALLS = "rag_rpc_server_duration_seconds"
_NO_ANSWER = 'outcome=~"no_passages|weak_evidence|ungrounded"'


@dataclass(frozen=True, slots=True)
class Query:
    """One question to Prometheus; its result has the label `lane`, and `labels` which name the subject."""

    about: str
    template: str
    labels: tuple[str, ...] = ()

    def text(self, window: float, lanes: str = f"{BASELINE}|{CANARY}") -> str:
        """The PromQL for the last `window` seconds, at least one."""
        return self.filled(f"{max(round(window), 1)}s", lanes)

    def filled(self, window: str, lanes: str) -> str:
        """The PromQL for a window as PromQL or Argo Rollouts writes it."""
        return Template(self.template).substitute(WINDOW=window, LANES=lanes)


def _grown(metric: str, *matchers: str) -> str:
    series = f"{metric}{{{','.join((_LANES, *filter(None, matchers)))}}}"
    return f"clamp_min({series} - ({series} offset $WINDOW or 0 * {series}), 0)"


def _count(about: str, metric: str, *matchers: str, by: tuple[str, ...] = ()) -> Query:
    return Query(about, f"sum by ({', '.join(('lane', *by))}) ({_grown(metric, *matchers)})", by)


def _p95(about: str, histogram: str, *matchers: str, by: tuple[str, ...] = ()) -> Query:
    labels = ", ".join(("lane", *by, "le"))
    grown = _grown(f"{histogram}_bucket", *matchers)
    return Query(about, f"histogram_quantile(0.95, sum by ({labels}) ({grown}))", by)


_METHOD = ("service", "method")

QUERIES: Mapping[str, Query] = {
    "calls": _count("Valid public calls", f"{_CALLS}_count", _PUBLIC, _VALID),
    "calls_failed": _count(
        "Public calls that failed through a fault of the platform",
        f"{_CALLS}_count",
        _PUBLIC,
        _FAILED,
        _VALID,
    ),
    "method_calls": _count(
        "Valid calls by service and method", f"{_CALLS}_count", _EVERY, _VALID, by=_METHOD
    ),
    "method_calls_failed": _count(
        "Failed calls by service and method",
        f"{_CALLS}_count",
        _EVERY,
        _FAILED,
        _VALID,
        by=_METHOD,
    ),
    "successes": _count(
        "Successful searches and answers by method",
        f"{_CALLS}_count",
        _ANSWERS,
        by=("method",),
    ),
    "duration_p95": _p95(
        "95th percentile of their duration in seconds", _CALLS, _ANSWERS, by=("method",)
    ),
    "streams": _count("Streams with text", "rag_stream_first_token_seconds_count"),
    "first_token_p95": _p95(
        "95th percentile of the seconds to their first text", "rag_stream_first_token_seconds"
    ),
    "answers": _count("Answers", "rag_answers_total"),
    "answers_missing": _count(
        "Answers that decline for want of passages or evidence", "rag_answers_total", _NO_ANSWER
    ),
    "answers_ungrounded": _count(
        "Answers dropped because no passage supports them",
        "rag_answers_total",
        'outcome="ungrounded"',
    ),
    "answers_broken": _count(
        "Answers that failed or were cut short", "rag_answers_total", 'outcome=~"failed|cut_short"'
    ),
    "answers_rated": _count("Answers with a groundedness", "rag_answer_groundedness_count"),
    "answers_unsupported": _count(
        "Answers of which passages support half of the sentences or less",
        "rag_answer_groundedness_bucket",
        'le="0.5"',
    ),
    "responses": _count("Searches and answers", f"{_CALLS}_count", _ANSWERS),
    "responses_degraded": _count(
        "Responses without a part that was unavailable", "rag_degraded_total"
    ),
    "restarts": Query(
        "Restarts of processes",
        f'sum by (lane) (changes(process_start_time_seconds{{{_LANES},service!=""}}[$WINDOW]))',
    ),
    "ready": Query(
        "Whether all pods of a service say SERVING",
        f"min by (lane, service) (rag_ready{{{_LANES}}})",
        ("service",),
    ),
    "up": Query(
        "Whether all pods of a service can be scraped",
        f'min by (lane, service) (up{{{_LANES},service!=""}})',
        ("service",),
    ),
}
