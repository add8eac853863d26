"""The configuration of a canary's analysis, from a TOML file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from rag_common.settings import Port, Seconds, read_toml

# For `read_toml`: unknown keys are invalid.
_NO_EXTRA = ConfigDict(extra="forbid")

Share = Annotated[float, Field(ge=0, le=50)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Times = Annotated[int, Field(ge=1, le=1000)]

# Each of these compares the lanes by calls; `must_pass` may name them.
CHECKS = (
    "failed_calls",
    "failed_method_calls",
    "slow",
    "slow_first_token",
    "no_answer",
    "ungrounded",
    "unsupported",
    "broken",
    "degraded",
)


@dataclass(frozen=True, slots=True)
class Step:
    """For `seconds` each of the two lanes gets `share` per cent of all calls.

    With a share of 0 pods start and probes run. A step that need not be `conclusive` ends in time unless
    a check fails.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _NO_EXTRA

    share: Share
    seconds: Seconds
    conclusive: bool = True


@dataclass(frozen=True, slots=True)
class CanaryConfig:
    """The settings of one analysis. Durations are in seconds, differences are shares from 0 to 1."""

    __pydantic_config__: ClassVar[ConfigDict] = _NO_EXTRA

    prometheus: str = "http://127.0.0.1:9090"
    host: str = "127.0.0.1"
    port: Port = 0
    # The first calls are few: a release that fails all of them has touched one call in 200.
    steps: Sequence[Step] = (
        Step(0, 30),
        Step(0.5, 120, conclusive=False),
        Step(5, 600),
        Step(25, 600),
    )
    # Between two judgements.
    interval: Seconds = 10
    # A command that exits with 0 if the canary answers golden questions correctly; empty for none.
    probe: Sequence[str] = ()
    probe_timeout: Seconds = 30
    probe_interval: Seconds = 10

    confidence: Fraction = 0.99
    # Below so many events in either lane nothing is said of shares.
    samples: Times = 10
    # Of failed calls, and of broken and degraded answers.
    tolerance: Fraction = 0.005
    margin: Fraction = 0.03
    disaster: Fraction = 0.2
    # Of answers that decline, or that passages do not support.
    answers_tolerance: Fraction = 0.02
    answers_margin: Fraction = 0.1
    # A percentile may be so many times the baseline's, and so many seconds more.
    latency_samples: Times = 100
    latency_ratio: Annotated[float, Field(gt=1)] = 1.5
    latency_seconds: Annotated[float, Field(ge=0)] = 0.02
    # The checks which a conclusive step needs to pass, besides probes, readiness and restarts.
    must_pass: Sequence[str] = ("failed_calls", "slow", "no_answer", "ungrounded", "degraded")

    # Consecutive failures that end a release, by check; others: 2.
    failures: Mapping[str, Times] = field(
        default_factory=lambda: {"restarts": 1, "probe": 1, "slow": 3, "slow_first_token": 3}
    )
    # How long a lane may take to start, may not serve later, and Prometheus may be unavailable.
    start_seconds: Seconds = 600
    unready_seconds: Seconds = 30
    blind_seconds: Seconds = 60
    # How long a step without a conclusion waits for one, or for a person, before it is rolled back.
    hold_seconds: Seconds = 3600
    # How long the result can be read after the end.
    linger_seconds: Annotated[float, Field(ge=0)] = 120
    # A file for the result, such as /dev/termination-log; empty for none.
    report: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for an unknown check, and without a step that gives calls to the canary."""
        unknown = sorted(set(self.must_pass) - set(CHECKS))
        if unknown:
            raise ValueError(f"must_pass: {unknown[0]} is not one of {', '.join(CHECKS)}")
        if not any(step.share and step.conclusive for step in self.steps):
            raise ValueError("steps: one must be conclusive with a share over 0")

    @classmethod
    def load(cls, path: Path) -> "CanaryConfig":
        """Read a TOML file. Raises SettingsInvalid."""
        return read_toml(path, cls)
