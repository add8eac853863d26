"""The edge's configuration of the chart is one that Envoy takes, with the addresses of the release."""

import re
from pathlib import Path

import pytest

from rag_edge.edge_config import EdgeConfig
from rag_edge.render import CONFIGURATION
from tests.support.chart.cases import Case, pairwise, plain
from tests.support.chart.graph import has_analysis
from tests.support.chart.rendering import name
from tests.support.edge.validation import validate
from tests.support.parts import tool

# The switches that the edge's configuration depends on.
SWITCHES = ("canary", "telemetry", "issuers")
ADDRESS = re.compile(r'address: "(rag-gateway[a-z-]*)", port_value: (\d+)')


def cases() -> list[Case]:
    """The values files as they are, and combinations with every position of these switches."""
    chosen, seen = plain(), set[tuple[str, str]]()
    for case in pairwise():
        positions = {one for one in case.positions if one[0] in SWITCHES}
        if positions - seen:
            seen |= positions
            chosen.append(case)
    return chosen


@pytest.mark.parametrize("case", cases(), ids=str)
async def test_envoy_takes_it_without_a_warning(case: Case, tmp_path: Path) -> None:
    tool("envoy", "run `make chart`")
    file = tmp_path / "edge.toml"
    file.write_text(case.rendered.get("ConfigMap", "rag-edge")["data"]["edge.toml"], "utf-8")
    code, output = await validate(tmp_path, EdgeConfig.load(file))
    assert (code, "warning" in output) == (0, False), output
    called = set(ADDRESS.findall((tmp_path / CONFIGURATION).read_text("utf-8")))
    lanes = ("", "-baseline", "-canary") if has_analysis(case.values) else ("",)
    assert called == {(f"rag-gateway{lane}", "50051") for lane in lanes} | {
        ("rag-gateway", "50071")
    }
    assert {service for service, _ in called} <= {
        name(one) for one in case.rendered.of_kind("Service")
    }
