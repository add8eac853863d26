"""The figures of `make load`: phases, shed and failed questions, memory."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tools.bench.memory import MemorySamples, Trend, sampled, slope
from tools.bench.report import write_summary
from tools.bench.result import Percentiles, Result
from tools.bench.sustained import Phase, Sustained, memory_rows, phase_of, phase_rows, summary

FAST, SLOW = Percentiles(90, 10.0, 20.0, 30.0), Percentiles(10, 15.0, 36.0, 50.0)


def phase(name: str, rate: float, latency: Percentiles, shed: int) -> Phase:
    result = Result(40.0, {"shed": shed, "status_4": 6}, _trends(latency))
    return phase_of(name, users=50, rate=rate, rounds=2, connecting=30.0, result=result)


def _trends(latency: Percentiles) -> dict[str, Percentiles]:
    return {"latency": latency, "sent_latency": latency, "late": Percentiles(100, 1, 2, 3)}


def found() -> Sustained:
    memory = {"gateway": Trend(100.0, 110.0, 112.0, 1.5)}
    return Sustained(phase("normal", 10, FAST, 4), phase("overload", 100, SLOW, 90), memory, memory)


def test_a_question_is_answered_or_shed_or_an_error() -> None:
    normal = found().normal
    assert (normal.questions, normal.latency.count, normal.shed, normal.errors) == (100, 90, 4, 6)
    assert normal.served == 9.0


def test_the_overload_is_compared_with_the_normal_phase() -> None:
    normal, overload = phase_rows(found())
    assert (normal["p95 to normal"], overload["p95 to normal"]) == ("1.00", "1.80")
    assert normal["errors"] == "6 (DEADLINE_EXCEEDED 6)"
    [row] = memory_rows(found())
    assert (row["process"], row["slope MiB/h"]) == ("gateway", "+1.5")


def test_the_summary_has_the_figures_that_a_release_is_judged_by(tmp_path: Path) -> None:
    path = tmp_path / "build" / "load.json"
    write_summary(path, summary(found()))
    figures = json.loads(path.read_text())
    expected = {"p95_ms": 20.0, "errors": 6, "rate": 10, "shed": 90, "p95_overload_ms": 36.0}
    assert expected.items() <= figures.items()
    assert figures["memory"]["gateway"]["slope_mib_per_hour"] == 1.5
    assert {"commit", "date", "cores"} <= figures.keys()


def test_nothing_answered_is_no_number() -> None:
    nothing = phase("overload", 100, Percentiles(), 100)
    normal = found()
    figures = summary(Sustained(normal.normal, nothing, {}, {}))
    assert figures["p95_overload_ms"] is None


def test_the_slope_is_that_of_the_second_half() -> None:
    """100 MiB are taken at the start, then 1 MiB a minute."""
    samples = [(minute * 60.0, minute * 20.0) for minute in range(6)]
    samples += [(minute * 60.0, 100.0 + minute - 5) for minute in range(6, 13)]
    assert slope(samples) == pytest.approx(60.0)
    trend = Trend.of(samples)
    assert (trend.first, trend.last, trend.max) == (0.0, 107.0, 107.0)


def test_a_trend_needs_two_samples() -> None:
    with pytest.raises(ValueError, match="two samples"):
        Trend.of([(0.0, 1.0)])


def test_a_process_that_grows_is_seen_and_one_that_ends_stops_the_samples() -> None:
    growing = "import time\nheld = []\nwhile True: held.append(bytearray(2**20)); time.sleep(0.01)"
    seen = []
    with (
        subprocess.Popen([sys.executable, "-c", growing]) as process,
        sampled({"it": process.pid}, 0.1, lambda seconds, _memory: seen.append(seconds)) as samples,
    ):
        time.sleep(1.0)
        process.kill()
        process.wait()
        time.sleep(0.3)
        count = len(seen)
        time.sleep(0.3)
    assert isinstance(samples, MemorySamples)
    trend = samples.trends()["it"]
    assert trend.last > trend.first + 5
    assert trend.slope > 1000
    assert len(seen) == count
