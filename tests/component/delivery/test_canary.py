"""The analysis as a program, with a real Prometheus, on a platform that follows its weights.

Durations are a tenth of the defaults, or less.
"""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from rag_local.program import free_port
from tests.support.delivery.platform import Behaviour, Platform, platform
from tests.support.waiting import until

FASTER = 10.0
TWO_MINUTES = 120 / FASTER
CONFIG = """
prometheus = "{prometheus}"
port = {port}
interval = 0.5
probe = ["{python}", "-c", "import pathlib; assert pathlib.Path('{golden}').exists()"]
probe_interval = 0.5
start_seconds = {start}
unready_seconds = 5
blind_seconds = 5
hold_seconds = {hold}
linger_seconds = {linger}
report = "{report}"
{more}
[[steps]]
share = 0
seconds = 1
[[steps]]
share = 0.5
seconds = 4
conclusive = false
[[steps]]
share = 10
seconds = 2
[[steps]]
share = 25
seconds = 2
"""


@dataclass
class Trial:
    """A running analysis."""

    process: asyncio.subprocess.Process
    url: str
    platform: Platform
    report: Path
    golden: Path

    async def outcome(self) -> dict[str, Any]:
        """The report, and the exit code with it, once the program has ended."""
        code = await asyncio.wait_for(self.process.wait(), 60)
        report = json.loads(self.report.read_text()) if self.report.exists() else {}
        return {**report, "code": code}

    async def get(self, path: str) -> str:
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(self.url + path)).text

    async def state(self) -> str:
        try:
            return str(json.loads(await self.get("/status"))["state"])
        except httpx.HTTPError:
            return ""


@asynccontextmanager
async def trial(
    folder: Path,
    *,
    more: str = "",
    golden: bool = True,
    hold: float = 60,
    start: float = 60,
    linger: float = 0.5,
) -> AsyncIterator[Trial]:
    port, config, report = free_port(), folder / "canary.toml", folder / "report"
    answer = folder / "golden"
    if golden:
        answer.touch()
    url = f"http://127.0.0.1:{port}"
    async with platform(folder, f"{url}/weights") as placed:
        values = {"prometheus": placed.prometheus, "port": port, "python": sys.executable}
        waits = {"hold": hold, "start": start, "linger": linger}
        text = CONFIG.format(**values, **waits, golden=answer, report=report, more=more)
        config.write_text(text)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "rag_delivery.canary", str(config)
        )
        try:
            yield Trial(process, url, placed, report, answer)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def shared(running: Trial) -> None:
    await until(lambda: any(running.platform.seen), "the canary gets calls")


async def test_a_good_release_is_promoted_and_gives_its_calls_back(tmp_path: Path) -> None:
    async with trial(tmp_path, linger=5) as running:
        await until(lambda: finished(running), "it ends")
        metrics = await running.get("/metrics")
        outcome = await running.outcome()
        canary, baseline = (running.platform.lanes[name] for name in ("canary", "baseline"))
    assert (outcome["code"], outcome["state"]) == (0, "promoted")
    assert running.platform.seen == [0, 50, 1000, 2500, 0]
    assert canary.served == pytest.approx(baseline.served, rel=0.01, abs=2)
    assert 'rag_canary_state{service="canary",state="promoted"} 1.0' in metrics
    assert 'rag_canary_verdict{check="slow",service="canary"} 1.0' in metrics
    assert 'rag_canary_weight{lane="stable",service="canary"} 1.0' in metrics


async def finished(running: Trial) -> bool:
    return await running.state() in ("promoted", "rolled_back")


async def test_a_release_that_fails_every_call_touches_under_one_in_a_hundred(
    tmp_path: Path,
) -> None:
    async with trial(tmp_path, linger=5) as running:
        running.platform.lanes["canary"].behaviour = Behaviour(fails=1)
        await shared(running)
        before, began = running.platform.calls, time.monotonic()
        await until(lambda: finished(running), "it ends")
        seconds = time.monotonic() - began
        calls = running.platform.calls - before
        outcome = await running.outcome()
        failed = running.platform.lanes["canary"].failed
    assert (outcome["code"], outcome["state"]) == (1, "rolled_back")
    assert "failed_calls" in outcome["reason"] or "failed_method_calls" in outcome["reason"]
    assert seconds < TWO_MINUTES
    assert 10 <= failed < calls / 100
    assert running.platform.seen == [0, 50, 0]


@pytest.mark.parametrize(
    ("behaviour", "check"),
    [
        (Behaviour(slow=8), "slow"),
        (Behaviour(ready=False), "ready gateway"),
    ],
    ids=["slow", "not-ready"],
)
async def test_a_worse_release_is_rolled_back(
    behaviour: Behaviour, check: str, tmp_path: Path
) -> None:
    async with trial(tmp_path) as running:
        await shared(running)
        running.platform.lanes["canary"].behaviour = behaviour
        outcome = await running.outcome()
    assert outcome["state"] == "rolled_back"
    assert outcome["reason"].startswith(check)
    assert running.platform.seen[-1] == 0


async def test_a_release_that_answers_golden_questions_wrongly_gets_no_call(tmp_path: Path) -> None:
    async with trial(tmp_path, golden=False, start=6) as running:
        outcome = await running.outcome()
        assert running.platform.lanes["canary"].served == 0
    assert outcome["state"] == "rolled_back"
    assert outcome["reason"].startswith("no conclusion: probe: exit code 1")


async def test_too_few_calls_hold_the_release_and_never_promote_it(tmp_path: Path) -> None:
    async with trial(tmp_path, more="samples = 1000\nlatency_samples = 1000", hold=2) as running:
        await until(lambda: running.platform.seen[-1:] == [1000], "the first conclusive step")
        await until(lambda: holds(running), "it is held")
        outcome = await running.outcome()
    assert outcome["state"] == "rolled_back"
    assert outcome["reason"].startswith("no conclusion: ")


async def holds(running: Trial) -> bool:
    return await running.state() == "holding"


async def test_a_person_decides_from_the_pod_itself(tmp_path: Path) -> None:
    async with trial(tmp_path) as running, httpx.AsyncClient(trust_env=False) as client:
        await shared(running)
        url = f"{running.url}/decision"
        unknown = await client.put(url, json={"decision": "maybe"})
        decided = await client.put(url, json={"decision": "rolled_back"})
        outcome = await running.outcome()
    assert (unknown.status_code, decided.status_code) == (400, 200)
    assert outcome == {"state": "rolled_back", "reason": "decided by a person", "code": 1}


async def test_an_analysis_that_is_stopped_leaves_all_calls_to_stable(tmp_path: Path) -> None:
    async with trial(tmp_path) as running:
        await shared(running)
        running.process.send_signal(signal.SIGTERM)
        assert await running.outcome() == {"code": 143}
        before = running.platform.lanes["canary"].served
        calls = running.platform.calls
        await until(lambda: running.platform.calls > calls + 1000, "calls go on")
        assert running.platform.lanes["canary"].served <= before + 1


async def test_a_release_that_prometheus_cannot_see_is_rolled_back(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    config = tmp_path / "canary.toml"
    config.write_text(
        f'prometheus = "{nowhere}"\ninterval = 0.2\nblind_seconds = 1\nlinger_seconds = 0\n'
        f'report = "{tmp_path / "report"}"\n'
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "rag_delivery.canary", str(config)
    )
    assert await asyncio.wait_for(process.wait(), 30) == 1
    report = json.loads((tmp_path / "report").read_text())
    assert report["state"] == "rolled_back"
    assert report["reason"].startswith("prometheus: ClientConnectorError")


async def test_an_invalid_configuration_is_named(tmp_path: Path) -> None:
    config = tmp_path / "canary.toml"
    config.write_text("intervall = 3")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rag_delivery.canary", str(config)), stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert errors.decode() == f"{config} is invalid: intervall: Unexpected keyword argument\n"
