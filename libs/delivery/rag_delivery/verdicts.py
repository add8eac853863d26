"""What a judgement says, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

# The lane and the subject (a service, a method, or empty), and the value; it may be NaN.
Series = Mapping[tuple[str, str], float]
# The results of all queries by their names.
Readings = Mapping[str, Series]


class Verdict(StrEnum):
    """Inconclusive means that nothing can be said, and never that nothing is wrong."""

    PASS = "pass"  # noqa: S105  no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A check's verdict on a subject; `disaster` ends the release at once, without a second look."""

    check: str
    subject: str
    verdict: Verdict
    reason: str
    disaster: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What the judgement is about."""
        return self.check, self.subject

    @property
    def sentence(self) -> str:
        """The check, the subject if there is one, and why."""
        return f"{' '.join(filter(None, self.key))}: {self.reason}"


Judgements = Sequence[Judgement]
