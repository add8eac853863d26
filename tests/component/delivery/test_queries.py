"""Prometheus computes from a release's series what the queries are for, and the checks see it."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tools.delivery.argo import WINDOW, metrics

from rag_delivery.analysis import call_checks, pod_checks
from rag_delivery.config import CanaryConfig
from rag_delivery.queries import QUERIES, Query
from rag_delivery.verdicts import Readings, Verdict
from tests.support.delivery.scenarios import NAN, SCENARIOS, Scenario, Values, matchers
from tests.support.observability.promtool import check

ARGO = {metric["name"]: metric for metric in metrics()}
CHECKS = (*pod_checks(), *call_checks(CanaryConfig()))


@pytest.mark.parametrize("name", SCENARIOS)
def test_promtool_computes_the_values(name: str, promtool: str, tmp_path: Path) -> None:
    scenario = SCENARIOS[name]
    queries = [
        test
        for query, values in scenario.values.items()
        for test in _expectations(QUERIES[query], values)
    ]
    argo = [
        _expected(ARGO[metric]["query"].replace(WINDOW, "5m"), _sample(value))
        for metric, value in scenario.argo.items()
    ]
    _run(promtool, tmp_path, scenario, [*queries, *argo])


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_checks_say_what_is_wrong(name: str) -> None:
    scenario = SCENARIOS[name]
    # What a scenario does not state is as in a good release.
    values = {**SCENARIOS["good"].values, **scenario.values}
    readings = {query: _read(expected) for query, expected in values.items()}
    assert {key: _verdict(key, readings) for key in scenario.verdicts} == scenario.verdicts


def test_every_query_and_every_metric_of_argo_is_computed_and_empty_once() -> None:
    for scenario in (SCENARIOS["good"], SCENARIOS["empty"]):
        assert set(scenario.values) == set(QUERIES)
        assert set(scenario.argo) == set(ARGO)
    assert {query for one in CHECKS for query in one.queries} == set(QUERIES)


def test_every_check_passes_and_fails_once() -> None:
    names = {one.name for one in CHECKS}
    for verdict in (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE):
        said = {
            key.partition(" ")[0]
            for scenario in SCENARIOS.values()
            for key, value in scenario.verdicts.items()
            if value is verdict
        }
        assert names - said <= (
            {"failed_method_calls"} if verdict is Verdict.INCONCLUSIVE else set()
        )


@pytest.mark.parametrize("metric", ARGO.values(), ids=list(ARGO))
def test_a_metric_of_argo_decides_only_with_a_result(metric: dict[str, Any]) -> None:
    known = "len(result) > 0 && !isNaN(result[0]) && result[0]"
    assert metric["successCondition"].startswith(f"{known} <= ")
    assert metric["failureCondition"].startswith(f"{known} > ")


def _verdict(key: str, readings: Readings) -> Verdict:
    """The worst of the check's judgements, or that of one subject."""
    name, _, subject = key.partition(" ")
    [named] = [one for one in CHECKS if one.name == name]
    verdicts = [
        one.verdict for one in named.judge(readings) if not subject or one.subject == subject
    ]
    order = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)
    return min(verdicts, key=order.index)


def _read(values: Values) -> dict[tuple[str, str], float]:
    return {_series(key): float(value) for key, value in values.items()}


def _series(key: str) -> tuple[str, str]:
    lane, _, subject = key.partition(" ")
    return lane, subject


def _expectations(query: Query, values: Values) -> Iterator[dict[str, Any]]:
    """The values; of those that are no number, which equals nothing, how often they are."""
    text, undefined = query.text(300), [key for key, value in values.items() if value == NAN]
    samples = [
        {"labels": _labels(query, key), "value": value}
        for key, value in values.items()
        if value != NAN
    ]
    yield _expected(f"({text}) == ({text})", samples)
    by = ", ".join(("lane", *query.labels))
    counted = [{"labels": _labels(query, key), "value": 1} for key in undefined]
    yield _expected(f"count by ({by}) (({text}) != ({text}))", counted)


def _labels(query: Query, key: str) -> str:
    lane, subject = _series(key)
    parts = subject.split(" ") if subject else []
    labels = {"lane": lane, **dict(zip(query.labels, parts, strict=True))}
    return f"{{{matchers(labels)}}}"


def _sample(value: float | str | None) -> list[dict[str, Any]]:
    return [] if value is None else [{"labels": "{}", "value": value}]


def _expected(expr: str, samples: list[dict[str, Any]]) -> dict[str, Any]:
    """What an expression gives, compared to six digits."""
    rounded = [
        {**sample, "value": math.floor(sample["value"] * 1e6 + 0.5) / 1e6} for sample in samples
    ]
    return {"expr": f"round({expr}, 0.000001)", "eval_time": "10m", "exp_samples": rounded}


def _run(promtool: str, folder: Path, scenario: Scenario, tests: list[dict[str, Any]]) -> None:
    series = [{"series": name, "values": values} for name, values in scenario.series.items()]
    group = {"interval": "1m", "input_series": series, "promql_expr_test": tests}
    path = folder / "tests.yaml"
    path.write_text(
        yaml.safe_dump({"evaluation_interval": "1m", "tests": [group]}),
        "utf-8",
    )
    check(promtool, "test", "rules", path)
