"""The steps of a release: what promotes it, what rolls it back and how soon, and what holds it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rag_common.observability.metrics import Metrics
from rag_common.settings import SettingsInvalid
from rag_delivery.config import CHECKS, CanaryConfig, Step
from rag_delivery.lanes import Lanes
from rag_delivery.metrics import CanaryMetrics
from rag_delivery.release import Outcome, Release
from rag_delivery.verdicts import Judgement, Judgements, Verdict

PODS = ("ready", "restarts", "probe")
Answer = Callable[["Trial"], dict[str, Verdict]]


class Trial:
    """A release whose checks say what `answer` says, in simulated time; all others pass."""

    def __init__(self, answer: Answer, config: CanaryConfig | None = None) -> None:
        self.seconds = 0.0
        self.answer = answer
        metrics = CanaryMetrics(Metrics())
        self.release = Release(
            config or CanaryConfig(),
            self,
            Lanes(metrics),
            metrics,
            now=lambda: self.seconds,
            sleep=self.sleep,
        )
        # Calls that the canary got, as seconds of all calls.
        self.touched = 0.0

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.touched += seconds * self.share

    async def judge(self, window: float, *, calls: bool) -> Judgements:
        names = (*PODS, *CHECKS) if calls else PODS
        said = self.answer(self)
        return [
            Judgement(name, "", said.get(name, Verdict.PASS), "test", name == "disaster")
            for name in (*names, *(set(said) - {*PODS, *CHECKS}))
        ]

    @property
    def share(self) -> float:
        return self.release.lanes.weights["canary"] / 10_000


async def test_a_good_release_is_promoted_after_all_steps_and_gives_the_calls_back() -> None:
    seen: list[float] = []

    def passes(trial: Trial) -> dict[str, Verdict]:
        seen.append(trial.share)
        return {}

    trial = Trial(passes)
    assert await trial.release.run() is Outcome.PROMOTED
    assert sorted(set(seen)) == [0, 0.005, 0.05, 0.25]
    assert trial.seconds == sum(step.seconds for step in CanaryConfig().steps)
    assert trial.release.lanes.weights == {"stable": 10_000, "baseline": 0, "canary": 0}


async def test_a_disaster_ends_the_release_at_once() -> None:
    trial = Trial(lambda trial: {"disaster": Verdict.FAIL} if trial.share else {})
    assert await trial.release.run() is Outcome.ROLLED_BACK
    assert trial.seconds == 30 + 10
    assert trial.touched / trial.seconds < 0.01
    assert trial.release.lanes.weights["canary"] == 0


@pytest.mark.parametrize(
    ("check", "rounds"),
    [("failed_calls", 2), ("slow", 3), ("restarts", 1), ("probe", 1), ("ready", 3)],
)
async def test_a_check_that_keeps_failing_rolls_back_within_two_minutes(
    check: str, rounds: int
) -> None:
    trial = Trial(lambda trial: {check: Verdict.FAIL} if trial.share >= 0.05 else {})
    assert await trial.release.run() is Outcome.ROLLED_BACK
    assert trial.seconds == 30 + 120 + 10 * rounds
    assert trial.release.reason == f"{check}: test"


async def test_one_failure_between_passes_is_chance() -> None:
    def fails_at_times(trial: Trial) -> dict[str, Verdict]:
        return {"slow": Verdict.FAIL} if trial.seconds % 30 else {}

    assert await Trial(fails_at_times).release.run() is Outcome.PROMOTED


async def test_without_a_conclusion_the_release_is_held_and_then_rolled_back() -> None:
    states: list[str] = []

    def unknown(trial: Trial) -> dict[str, Verdict]:
        states.append(trial.release.state)
        return {"failed_calls": Verdict.INCONCLUSIVE}

    trial = Trial(unknown)
    assert await trial.release.run() is Outcome.ROLLED_BACK
    assert set(states) == {"starting", "analysing", "holding"}
    assert trial.seconds == 30 + 120 + 600 + 3600
    assert trial.release.reason == "no conclusion: failed_calls: test"


async def test_a_held_release_goes_on_when_there_is_a_conclusion() -> None:
    def late(trial: Trial) -> dict[str, Verdict]:
        known = trial.seconds > 1000
        return {} if known else {"no_answer": Verdict.INCONCLUSIVE}

    trial = Trial(late)
    assert await trial.release.run() is Outcome.PROMOTED
    assert trial.seconds == 1010 + 600


@pytest.mark.parametrize("decision", list(Outcome))
async def test_a_person_decides_a_held_release(decision: Outcome) -> None:
    def decide(trial: Trial) -> dict[str, Verdict]:
        if trial.release.state == "holding":
            trial.release.decision = decision
        return {"failed_calls": Verdict.INCONCLUSIVE}

    trial = Trial(decide)
    assert await trial.release.run() is decision
    assert trial.release.reason == "decided by a person"


async def test_a_check_that_need_not_pass_holds_nothing() -> None:
    trial = Trial(lambda _: {"slow_first_token": Verdict.INCONCLUSIVE})
    assert await trial.release.run() is Outcome.PROMOTED


async def test_a_lane_gets_no_calls_before_it_serves_and_may_take_ten_minutes() -> None:
    slow = Trial(lambda trial: {"ready": Verdict.FAIL} if trial.seconds < 500 else {})
    assert await slow.release.run() is Outcome.PROMOTED
    never = Trial(lambda _: {"ready": Verdict.FAIL, "probe": Verdict.FAIL})
    assert await never.release.run() is Outcome.ROLLED_BACK
    assert (never.seconds, never.touched) == (600, 0)


async def test_a_release_that_nobody_can_see_gets_no_calls() -> None:
    trial = Trial(lambda trial: {"prometheus": Verdict.FAIL} if trial.share else {})
    assert await trial.release.run() is Outcome.ROLLED_BACK
    assert trial.seconds == 30 + 60


async def test_an_analysis_that_breaks_gives_the_calls_back() -> None:
    def breaks(trial: Trial) -> dict[str, Verdict]:
        if trial.share:
            raise RuntimeError
        return {}

    trial = Trial(breaks)
    with pytest.raises(RuntimeError):
        await trial.release.run()
    assert trial.release.lanes.weights == {"stable": 10_000, "baseline": 0, "canary": 0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("share = 3", "share"),
        ('must_pass = ["failed_cals"]', "failed_cals is not one of"),
        ("[[steps]]\nshare = 60\nseconds = 10", "less than or equal to 50"),
        ("[[steps]]\nshare = 0\nseconds = 10", "one must be conclusive"),
        ("[[steps]]\nshare = 5\nseconds = 10\nconclusive = false", "one must be conclusive"),
    ],
)
def test_an_invalid_configuration_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "canary.toml"
    path.write_text(text)
    with pytest.raises(SettingsInvalid, match=message):
        CanaryConfig.load(path)


def test_a_configuration_is_read(tmp_path: Path) -> None:
    path = tmp_path / "canary.toml"
    path.write_text(
        'prometheus = "http://prometheus:9090"\nprobe = ["true"]\nfailures = {slow = 5}\n'
        "[[steps]]\nshare = 2.5\nseconds = 60\n"
    )
    config = CanaryConfig.load(path)
    assert config.steps == [Step(2.5, 60)]
    assert config.failures == {"slow": 5}
