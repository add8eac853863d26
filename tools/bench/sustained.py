"""Sustained load: 1,000 users at a steady rate for minutes, then at ten times that rate."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

import grpc

from tools.bench.load import Way, fill, load, progress
from tools.bench.memory import MemorySamples, Trend, sampled
from tools.bench.report import Row
from tools.bench.result import Percentiles, Result
from tools.bench.turns import AT_ONCE, PASSAGES
from tools.bench.users import RATE, USERS, ask, tokens_of

# How many times the normal rate the overload is.
OVERLOAD = 10
# The overload lasts this share of the normal phase, and at most so many seconds.
_SHARE, _LONGEST_OVERLOAD = 0.2, 120.0
# Seconds over which the users connect, before each phase.
_CONNECTING = 30.0
# Runs of so many seconds have all the users; shorter ones a share, who connect in a share of the time.
_WHOLE = 60.0
_WARM_UP = 2.0
_SAMPLE_SECONDS, _REPORT_SECONDS = 1.0, 15.0


@dataclass(frozen=True, slots=True)
class Phase:
    """Questions at a fixed rate for so many seconds: how many were due, and what became of them.

    `shed` were refused with a time to come back; `errors` are all others without a successful reply.
    `late` is how many milliseconds after its time a question was sent, for want of CPU in the client or
    because its user still waited for the reply to its former one; it is part of the latency, which counts
    from that time, and not of `sent`, which counts from when it was sent. `statuses` are the names of the
    errors' gRPC statuses and how often they came.
    """

    name: str
    users: int
    rate: float
    seconds: float
    questions: int
    latency: Percentiles
    sent: Percentiles
    late: Percentiles
    shed: int
    errors: int
    statuses: Mapping[str, int]

    @property
    def served(self) -> float:
        """Successful replies a second."""
        return self.latency.count / self.seconds


@dataclass(frozen=True, slots=True)
class Sustained:
    """Both phases, and the memory of each process over the first and over both."""

    normal: Phase
    overload: Phase
    memory: Mapping[str, Trend]
    memory_overload: Mapping[str, Trend]


def sustained(issuer: Way, edge: Way, seconds: float) -> Sustained:
    """RATE questions a second for `seconds`, then OVERLOAD times as many for a while.

    `issuer` is the way by which the users' tokens are issued. Raises StartFailed.
    """
    share = min(seconds / _WHOLE, 1)
    users, connecting = math.ceil(USERS * share), _CONNECTING * share
    fill(edge, PASSAGES)
    load("search", edge, AT_ONCE, _WARM_UP)
    progress(f"issuing {users} tokens")
    tokens = tokens_of(issuer, users)
    longer = min(seconds * _SHARE, _LONGEST_OVERLOAD)

    def phase(name: str, rate: float, length: float) -> tuple[Phase, Mapping[str, Trend]]:
        rounds = max(round(length * rate / users), 1)
        progress(f"{name}: {rate:.0f} questions/s for {rounds * users / rate:.0f} s")
        with _sampled(edge) as memory:
            result = ask(edge, tokens, connecting, rate, rounds)
        return phase_of(name, users, rate, rounds, connecting, result), memory.trends()

    normal, memory = phase("normal", RATE, seconds)
    overload, memory_overload = phase("overload", OVERLOAD * RATE, longer)
    return Sustained(normal, overload, memory, memory_overload)


def phase_of(
    name: str, users: int, rate: float, rounds: int, connecting: float, result: Result
) -> Phase:
    """The phase in which each user asked so many questions; a call without any end is an error.

    `connecting` are the seconds before the first question, which do not count.
    """
    questions = users * rounds
    shed = result.counts.get("shed", 0)
    return Phase(
        name=name,
        users=users,
        rate=rate,
        seconds=result.seconds - connecting,
        questions=questions,
        latency=result.latency,
        sent=result.trend("sent_latency"),
        late=result.trend("late"),
        shed=shed,
        errors=questions - result.latency.count - shed,
        statuses={
            code.name: result.counts[f"status_{code.value[0]}"]
            for code in grpc.StatusCode
            if f"status_{code.value[0]}" in result.counts
        },
    )


def _sampled(way: Way) -> AbstractContextManager[MemorySamples]:
    return sampled(way.pids, _SAMPLE_SECONDS, _reporter())


def _reporter() -> Callable[[float, Mapping[str, float]], None]:
    """Prints the memory from time to time."""
    due = _REPORT_SECONDS

    def report(seconds: float, memory: Mapping[str, float]) -> None:
        nonlocal due
        if seconds < due:
            return
        due = seconds + _REPORT_SECONDS
        listed = ", ".join(f"{name} {mib:.0f}" for name, mib in memory.items())
        progress(f"  {seconds:.0f} s; MiB: {listed}")

    return report


def phase_rows(found: Sustained) -> list[Row]:
    """A row for each phase; `p95 to normal` is the ratio of the admitted questions' p95."""
    return [
        {
            "phase": one.name,
            "users": one.users,
            "questions": one.questions,
            "for s": f"{one.seconds:.0f}",
            "due/s": f"{one.rate:.0f}",
            "answered/s": one.served,
            **{f"{name} ms": getattr(one.latency, name) for name in ("p50", "p95", "p99")},
            "sent late, p95 ms": one.late.p95,
            "p95 to normal": f"{one.latency.p95 / found.normal.latency.p95:.2f}",
            "p95 ms since sent": one.sent.p95,
            "to normal": f"{one.sent.p95 / found.normal.sent.p95:.2f}",
            "shed": one.shed,
            "errors": _listed(one),
        }
        for one in (found.normal, found.overload)
    ]


def _listed(one: Phase) -> str:
    names = ", ".join(f"{name} {count}" for name, count in one.statuses.items())
    return f"{one.errors} ({names})" if names else str(one.errors)


def memory_rows(found: Sustained) -> list[Row]:
    """A row for each process, in MiB."""
    return [
        {
            "process": name,
            "first MiB": f"{trend.first:.0f}",
            "last MiB": f"{trend.last:.0f}",
            "max MiB": f"{trend.max:.0f}",
            "slope MiB/h": f"{trend.slope:+.1f}",
            "max MiB under overload": f"{found.memory_overload[name].max:.0f}",
        }
        for name, trend in found.memory.items()
    ]


def summary(found: Sustained) -> dict[str, object]:
    """The figures for programs, such as a check before a release; milliseconds, counts, MiB."""
    normal, overload = found.normal, found.overload
    return {
        "p95_ms": _number(normal.latency.p95),
        "errors": normal.errors,
        "rate": normal.rate,
        "seconds": normal.seconds,
        "users": normal.users,
        "questions": normal.questions,
        "shed_normal": normal.shed,
        "overload_rate": overload.rate,
        "overload_seconds": overload.seconds,
        "overload_questions": overload.questions,
        "overload_answered": overload.latency.count,
        "shed": overload.shed,
        "errors_overload": overload.errors,
        "p95_overload_ms": _number(overload.latency.p95),
        "p95_sent_ms": _number(normal.sent.p95),
        "p95_overload_sent_ms": _number(overload.sent.p95),
        "error_statuses": dict(normal.statuses),
        "error_statuses_overload": dict(overload.statuses),
        "late_p95_ms": _number(normal.late.p95),
        "late_p95_overload_ms": _number(overload.late.p95),
        "memory": {
            name: {
                "first_mib": round(trend.first, 1),
                "last_mib": round(trend.last, 1),
                "max_mib": round(trend.max, 1),
                "slope_mib_per_hour": round(trend.slope, 1),
            }
            for name, trend in found.memory.items()
        },
    }


def _number(value: float) -> float | None:
    """Rounded; None if nothing was measured, which JSON has no number for."""
    return None if math.isnan(value) else round(value, 2)
