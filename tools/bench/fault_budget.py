"""The error budget of killed processes: failures by fault, and what they make of a month."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

MONTH_SECONDS = 30 * 86_400.0
OBJECTIVE = 0.999
# Of every kind: each process is killed about once a week.
FAULTS_A_MONTH = 4
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call: the second in which it was due, its method, and its error's reason, empty for OK."""

    due: float
    method: str
    reason: str


@dataclass(frozen=True, slots=True)
class Kill:
    """A process that was killed in this second of the run."""

    at: float
    target: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What one kill cost: calls until the next one, those that failed by method and by reason.

    `seconds` are from the kill to the last failed call, 0 if none failed.
    """

    target: str
    calls: int
    methods: Mapping[str, int]
    reasons: Mapping[str, int]
    seconds: float

    @property
    def failed(self) -> int:
        return sum(self.methods.values())


@dataclass(frozen=True, slots=True)
class Kind:
    """All kills of one target.

    `lost` is the mean number of failed calls a kill; `upper` its limit with a confidence of 95 %.
    """

    target: str
    faults: Sequence[Fault]
    lost: float
    upper: float

    @property
    def longest(self) -> float:
        """Seconds from a kill to its last failed call, at most."""
        return max(fault.seconds for fault in self.faults)

    def methods(self) -> Counter[str]:
        """Failed calls by method."""
        return sum((Counter(fault.methods) for fault in self.faults), Counter())

    def reasons(self) -> Counter[str]:
        """Failed calls by their error's reason."""
        return sum((Counter(fault.reasons) for fault in self.faults), Counter())


def faults_of(kills: Sequence[Kill], calls: Sequence[CallRecord]) -> list[Fault]:
    """Each kill has the calls that were due from then on until the next one."""
    ends = [after.at for _, after in pairwise(kills)] + [math.inf]
    return [
        _fault(kill, [call for call in calls if kill.at <= call.due < end])
        for kill, end in zip(kills, ends, strict=True)
    ]


def _fault(kill: Kill, calls: Sequence[CallRecord]) -> Fault:
    failed = [call for call in calls if call.reason]
    return Fault(
        target=kill.target,
        calls=len(calls),
        methods=Counter(call.method for call in failed),
        reasons=Counter(call.reason for call in failed),
        seconds=max((call.due - kill.at for call in failed), default=0.0),
    )


def kinds_of(faults: Sequence[Fault]) -> list[Kind]:
    """The faults by their target, in the order of the first of each."""
    targets = dict.fromkeys(fault.target for fault in faults)
    return [_kind(name, [one for one in faults if one.target == name]) for name in targets]


def _kind(target: str, faults: Sequence[Fault]) -> Kind:
    costly = [fault.failed for fault in faults if fault.failed]
    # Calls fail together, so what is counted as independent is a kill that costs calls, not a call.
    rate = poisson_upper(len(costly)) / len(faults)
    return Kind(target, faults, sum(costly) / len(faults), rate * max(costly, default=1))


def poisson_upper(events: int) -> float:
    """The mean above which so few events have a probability under 5 %; 3.0 for none ("rule of three")."""
    low, high = float(events), 10.0 + 3.0 * events
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(events, middle) > 1 - _CONFIDENCE else (low, middle)
    return high


def _at_most(events: int, mean: float) -> float:
    """The probability of at most so many events of a Poisson distribution."""
    return math.exp(-mean) * sum(mean**n / math.factorial(n) for n in range(events + 1))


@dataclass(frozen=True, slots=True)
class Month:
    """Availability of a month with so many kills of every kind, at the rate of the run.

    `worst` is its limit with a confidence of 95 %. `budget` is how many kills of every kind the
    objective of 99.9 % bears, infinite if none cost a call.
    """

    faults: int
    availability: float
    worst: float
    budget: float


def month_of(kinds: Sequence[Kind], rate: float, faults: int = FAULTS_A_MONTH) -> Month:
    """The month in which each target is killed `faults` times, under `rate` calls a second."""
    calls = rate * MONTH_SECONDS
    lost, upper = (sum(getattr(kind, name) for kind in kinds) for name in ("lost", "upper"))
    return Month(
        faults=faults,
        availability=1 - min(lost * faults / calls, 1),
        worst=1 - min(upper * faults / calls, 1),
        budget=(1 - OBJECTIVE) * calls / lost if lost else math.inf,
    )
