"""The course of a release: step by step, until it is promoted or rolled back."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import structlog

from rag_delivery.analysis import PROMETHEUS, READY, RESTARTS
from rag_delivery.config import CanaryConfig, Step
from rag_delivery.lanes import Lanes
from rag_delivery.metrics import CanaryMetrics
from rag_delivery.probe import PROBE
from rag_delivery.verdicts import Judgements, Verdict

log = structlog.get_logger()

_FAILURES = 2
# How many reasons a result gives.
_SHOWN = 3
# What every step needs to pass.
_ALWAYS = {READY, RESTARTS, PROBE}


class Outcome(StrEnum):
    """How a release ended."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"


class Judge(Protocol):
    """What judges the canary: `rag_delivery.analysis.Analysis`."""

    async def judge(self, window: float, *, calls: bool) -> Judgements:
        """The judgements of the last `window` seconds."""
        ...


@dataclass
class Release:
    """Runs the steps of the configuration. The canary is never promoted without a conclusion."""

    config: CanaryConfig
    judge: Judge
    lanes: Lanes
    metrics: CanaryMetrics
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    state: str = ""
    reason: str = ""
    judgements: Judgements = ()
    # Set by a person, who decides instead of the analysis.
    decision: Outcome | None = None
    _failing: Counter[tuple[str, str]] = field(default_factory=Counter)

    async def run(self) -> Outcome:
        """Run to the end; afterwards all calls are stable's. The outcome's `reason` is kept."""
        self._enter("starting", "")
        try:
            outcome = await self._run()
        finally:
            self.lanes.set_share(0)
        self._enter(outcome.value, self.reason or "all steps passed")
        return outcome

    async def _run(self) -> Outcome:
        for step in self.config.steps:
            outcome = await self._step(step)
            if outcome:
                return outcome
        return Outcome.PROMOTED

    async def _step(self, step: Step) -> Outcome | None:
        """The outcome if the step ends the release, None if the next one may begin."""
        self._failing.clear()
        self.lanes.set_share(step.share)
        if step.share:
            self._enter("analysing", "")
        log.info("canary_step", share=step.share, seconds=step.seconds)
        began = self.now()
        while True:
            await self.sleep(self.config.interval)
            elapsed = self.now() - began
            self.judgements = await self.judge.judge(elapsed, calls=step.share > 0)
            self.metrics.judged(self.judgements)
            outcome = self._decided() or self._failed(step)
            if outcome or (elapsed >= step.seconds and self._may_go_on(step)):
                return outcome
            if elapsed >= step.seconds and self._given_up(step, elapsed):
                return Outcome.ROLLED_BACK

    def _decided(self) -> Outcome | None:
        if self.decision:
            self.reason = "decided by a person"
        return self.decision

    def _failed(self, step: Step) -> Outcome | None:
        failed = {one.key: one for one in self.judgements if one.verdict is Verdict.FAIL}
        self._failing = Counter({key: self._failing[key] + 1 for key in failed})
        for key, one in failed.items():
            log.warning("canary_check_failed", check=one.check, subject=one.subject, why=one.reason)
            if one.disaster or self._failing[key] >= self._patience(one.check, step):
                self.reason = one.sentence
                return Outcome.ROLLED_BACK
        return None

    def _patience(self, check: str, step: Step) -> int:
        """How many consecutive failures of the check end the release."""
        config = self.config
        ready = config.unready_seconds if step.share else config.start_seconds
        seconds = {READY: ready, PROMETHEUS: config.blind_seconds}
        if not step.share:
            seconds[PROBE] = config.start_seconds
        if check in seconds:
            return max(round(seconds[check] / config.interval), 1)
        return config.failures.get(check, _FAILURES)

    def _may_go_on(self, step: Step) -> bool:
        """Whether nothing fails, and all checks that must pass do."""
        needed = _ALWAYS | (set(self.config.must_pass) if step.share and step.conclusive else set())
        return all(
            one.verdict is Verdict.PASS
            for one in self.judgements
            if one.check in needed or one.verdict is Verdict.FAIL
        )

    def _given_up(self, step: Step, elapsed: float) -> bool:
        """Whether a step has had no conclusion for too long; until then it is held."""
        reason = f"no conclusion: {_undecided(self.judgements)}"
        if self.state == "analysing":
            self._enter("holding", reason)
        limit = step.seconds + self.config.hold_seconds if step.share else self.config.start_seconds
        self.reason = reason if elapsed >= limit else ""
        return bool(self.reason)

    def _enter(self, state: str, reason: str) -> None:
        self.state = state
        self.metrics.set_state(state)
        log.info("canary_state", state=state, why=reason, weights=self.lanes.weights)


def _undecided(judgements: Judgements) -> str:
    """Why the first checks do not pass, those that fail before others."""
    missing = [one for one in judgements if one.verdict is not Verdict.PASS]
    ordered = sorted(missing, key=lambda one: one.verdict is not Verdict.FAIL)
    return "; ".join(one.sentence for one in ordered[:_SHOWN])
