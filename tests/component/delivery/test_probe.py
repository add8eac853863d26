"""The golden probe: a real command, of which two failures in a row count."""

import sys
import time

import pytest

from rag_delivery.probe import Probe
from rag_delivery.verdicts import Verdict


def command(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def verdicts(probe: Probe) -> list[Verdict]:
    return [one.verdict for one in probe.judge()]


async def test_a_command_that_exits_with_0_passes() -> None:
    probe = Probe(command("pass"), 30)
    assert verdicts(probe) == [Verdict.INCONCLUSIVE]
    await probe.run()
    assert verdicts(probe) == [Verdict.PASS]


async def test_two_failures_in_a_row_fail_and_a_success_forgives_them() -> None:
    probe = Probe(command("raise SystemExit(3)"), 30)
    await probe.run()
    assert verdicts(probe) == [Verdict.INCONCLUSIVE]
    await probe.run()
    [judgement] = probe.judge()
    assert (judgement.verdict, judgement.reason) == (Verdict.FAIL, "exit code 3")
    probe.command = command("pass")
    await probe.run()
    assert verdicts(probe) == [Verdict.PASS]


async def test_a_command_that_does_not_end_is_ended() -> None:
    probe, began = Probe(command("import time; time.sleep(600)"), 0.5), time.monotonic()
    await probe.run()
    assert probe.reason == "no result within 0.5 s"
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("argv", "said"), [(["/no/such/program"], ["cannot be started"]), ([], [])]
)
async def test_a_missing_program_fails_and_no_command_says_nothing(
    argv: list[str], said: list[str]
) -> None:
    probe = Probe(argv, 1)
    if argv:
        await probe.run()
    assert [one.reason.partition(":")[0] for one in probe.judge()] == said
