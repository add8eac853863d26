"""Failed calls belong to the kill before them, and a month is extrapolated with a stated limit."""

import math

import pytest
from tools.bench import faults
from tools.bench.fault_budget import (
    MONTH_SECONDS,
    CallRecord,
    Kill,
    faults_of,
    kinds_of,
    month_of,
    poisson_upper,
)
from tools.bench.faults import Campaign, fault_rows, month_rows, summary

KILLS = [Kill(10, "gateway"), Kill(20, "redis"), Kill(30, "gateway"), Kill(40, "redis")]


def calls(*failed: tuple[float, str, str]) -> list[CallRecord]:
    """One call a second for 50 seconds, of which those are without a reply."""
    reasons = {due: (method, reason) for due, method, reason in failed}
    return [CallRecord(due, *reasons.get(due, ("Search", ""))) for due in map(float, range(50))]


CALLS = calls(
    (5, "Search", "INTERNAL"),
    (10, "Search", "DEPENDENCY_DOWN"),
    (14, "StreamAnswer", "DEPENDENCY_DOWN"),
    (31, "Search", "DRAINING"),
)


def test_a_failure_belongs_to_the_last_kill_before_it() -> None:
    found = faults_of(KILLS, CALLS)
    assert [(one.target, one.calls, one.failed, one.seconds) for one in found] == [
        ("gateway", 10, 2, 4.0), ("redis", 10, 0, 0.0), ("gateway", 10, 1, 1.0), ("redis", 10, 0, 0.0),
    ]  # fmt: skip
    assert found[0].methods == {"Search": 1, "StreamAnswer": 1}
    assert found[0].reasons == {"DEPENDENCY_DOWN": 2}


def test_kills_of_one_target_are_one_kind_with_its_mean_and_its_longest() -> None:
    gateway, redis = kinds_of(faults_of(KILLS, CALLS))
    assert (gateway.target, gateway.lost, gateway.longest) == ("gateway", 1.5, 4.0)
    assert gateway.methods() == {"Search": 2, "StreamAnswer": 1}
    # Two costly kills of two, each of two calls at most; and none of two: the rule of three.
    assert gateway.upper == pytest.approx(poisson_upper(2) / 2 * 2)
    assert (redis.lost, redis.upper) == (0.0, pytest.approx(3 / 2, abs=0.01))


@pytest.mark.parametrize(
    ("events", "limit"), [(0, 2.996), (1, 4.744), (2, 6.296), (10, 16.962), (100, 118.08)]
)
def test_the_limit_is_that_of_tables_of_the_poisson_distribution(events: int, limit: float) -> None:
    assert poisson_upper(events) == pytest.approx(limit, abs=0.005)


def test_a_month_has_the_lost_calls_of_its_kills() -> None:
    kinds = kinds_of(faults_of(KILLS, CALLS))
    month = month_of(kinds, rate=1.0, faults=4)
    assert month.availability == pytest.approx(1 - 4 * 1.5 / MONTH_SECONDS)
    assert month.worst < month.availability
    assert month.budget == pytest.approx(0.001 * MONTH_SECONDS / 1.5)
    assert month_of(kinds, 1.0, 8).availability < month.availability


def test_kills_that_cost_nothing_have_no_budget_and_still_a_limit() -> None:
    month = month_of(kinds_of(faults_of(KILLS[1:2], calls())), rate=1.0)
    assert month.availability == 1.0
    assert month.budget == math.inf
    assert month.worst < 1.0


def test_the_tables_and_the_summary_say_the_same() -> None:
    found = Campaign(50.0, CALLS, faults_of(KILLS, CALLS))
    first, second = fault_rows(found)
    assert first["killed"] == "gateway"
    assert (first["times"], first["failed Search"], first["failed StreamAnswer"]) == (2, 2, 1)
    assert first["reasons"] == "DEPENDENCY_DOWN 2, DRAINING 1"
    assert second["reasons"] == "—"
    assert month_rows(found)[0]["available"] == "92.0000%"
    figures = summary(found)
    assert (figures["failed"], figures["kills"], figures["calls"]) == (4, 4, 50)


def test_calls_are_mixed_as_the_page_says() -> None:
    mix = faults._MIX
    shares = [mix.count(name) for name in faults._CALLS]
    assert (len(mix), shares) == (20, [12, 4, 3, 1])
