"""docs/sizing.md follows from its inputs, and grows with passages and questions."""

import tomllib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools.docs.sizing import __main__ as page
from tools.docs.sizing import model
from tools.docs.sizing.model import Inputs, Measured

GIVEN = tomllib.loads(page.GIVEN.read_text("utf-8"))
INPUTS = page.read(GIVEN, page.BENCHMARKS.read_text("utf-8"))
SIZES = st.integers(1_000, 1_000_000_000)
RATES = st.floats(0.1, 20_000)


def test_the_page_is_current() -> None:
    assert page.PAGE.read_text("utf-8") == page.rendered()


@given(SIZES, SIZES, RATES, st.booleans())
def test_more_passages_never_need_less(one: int, other: int, rate: float, int8: bool) -> None:
    small, large = sorted((one, other))
    for needed in (model.memory_bytes, model.disk_bytes):
        assert needed(INPUTS, small, int8=int8) <= needed(INPUTS, large, int8=int8) + 1
    assert model.search_ms(INPUTS.growth, small) <= model.search_ms(INPUTS.growth, large)
    before, after = (model.cluster(INPUTS, n, rate, int8=int8) for n in (small, large))
    assert before.shards <= after.shards
    assert before.nodes * before.gib <= after.nodes * after.gib or before.replicas > after.replicas


@given(SIZES, RATES, RATES)
def test_more_questions_never_need_less(passages: int, one: float, other: float) -> None:
    few, many = sorted((one, other))
    for name, pods in model.services(INPUTS, few).items():
        more = model.services(INPUTS, many)[name]
        assert pods.replicas <= more.replicas
        assert pods.replicas * pods.vcpu <= more.replicas * more.vcpu + 0.25 * more.replicas
    before, after = (model.cluster(INPUTS, passages, n, int8=False) for n in (few, many))
    assert before.nodes <= after.nodes


@given(SIZES)
def test_int8_takes_less_memory_and_more_disk(passages: int) -> None:
    plain, quantized = (model.memory_bytes(INPUTS, passages, int8=int8) for int8 in (False, True))
    assert quantized < plain
    disk = model.disk_bytes(INPUTS, passages, int8=True)
    assert disk - model.disk_bytes(INPUTS, passages, int8=False) == pytest.approx(384 * passages)


@given(SIZES, RATES)
def test_every_pod_has_the_cpu_that_its_calls_cost(passages: int, rate: float) -> None:
    utilization = INPUTS.assumptions["utilization"]
    for name, pods in model.services(INPUTS, rate).items():
        cost = {**INPUTS.cpu_ms, "generator": INPUTS.generator_cpu_ms}[name]
        assert pods.replicas * pods.vcpu * utilization >= rate * cost / 1000 - 1e-6
    index = model.cluster(INPUTS, passages, rate, int8=False)
    busy = rate * model.search_ms(INPUTS.growth, passages / index.shards) / 1000
    assert index.replicas * index.vcpu * utilization >= busy - 1e-6
    assert index.gib * INPUTS.assumptions["node_fill"] * index.shards * model.GIB >= (
        model.memory_bytes(INPUTS, passages, int8=False) - 1
    )


def test_measured_sizes_have_the_measured_figures() -> None:
    for one in INPUTS.growth:
        found = model.memory_bytes(INPUTS, one.passages, int8=False)
        assert found == pytest.approx(one.memory * one.passages)
        assert model.disk_bytes(INPUTS, one.passages, int8=False) == pytest.approx(
            one.disk * one.passages
        )


def test_beyond_the_largest_measured_size_memory_is_linear_and_search_logarithmic() -> None:
    growth = [Measured(10_000, 8000, 6000, 5.0), Measured(100_000, 4000, 3000, 8.0)]
    known = replace(INPUTS, growth=growth)
    assert model.memory_bytes(known, 10**8, int8=False) == 4000 * 10**8
    assert model.search_ms(growth, 10**8) == pytest.approx(17.0)


def test_a_cost_is_the_sum_of_what_is_reserved() -> None:
    """One vCPU and no memory for an hour, in which 3,600 questions come."""
    prices = {"vcpu_hour": 1.0, "gib_hour": 0.0, "disk_gib_month": 0.0}
    assumptions = {**INPUTS.assumptions, "min_replicas": 1, "min_vcpu": 0.25, "min_nodes": 1}
    assumptions |= {"qdrant_replicas": 1}
    known: Inputs = replace(INPUTS, prices=prices, assumptions=assumptions)
    pods = len(model.services(known, 1.0))
    assert model.cost_per_million(known, 10_000, 1.0, int8=False) == pytest.approx(
        (pods + 1) * 0.25 * 1e6 / 3600
    )


@pytest.mark.parametrize("text", ["", "# Benchmarks\n\n## A growing index\n\nnothing\n"])
def test_a_page_without_the_measurements_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="growing index"):
        model.growth_rows(text)
