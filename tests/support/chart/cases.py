"""Combinations of the chart's values files and switches: each pair of positions occurs in one of them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from _pytest.mark import ParameterSet
from allpairspy import AllPairs
from tools.chart.package import SOURCE, values_files
from tools.chart.schema import default_values, merged
from tools.services import SERVICES

from rag_common.settings import ServiceSettings
from tests.support.chart.rendering import Object, Rendered, name, render

Values = dict[str, Any]

SWITCHES: dict[str, dict[str, Values]] = yaml.safe_load(
    Path(__file__).with_name("switches.yaml").read_text("utf-8")
)
# Names of the values files, by the name of the last.
FILES: dict[str, tuple[str, ...]] = {
    files[-1].stem: tuple(str(file.relative_to(SOURCE)) for file in files)
    for files in values_files(SOURCE)
}


@dataclass(frozen=True)
class Case:
    """A combination of values files and of positions of the switches."""

    files: str
    positions: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return "-".join((self.files, *(position for _, position in self.positions)))

    @cached_property
    def overlay(self) -> Values:
        """What the switches set."""
        result: Values = {}
        for switch, position in self.positions:
            result = merged(result, SWITCHES[switch][position])
        return consistent(result)

    @property
    def values(self) -> Values:
        """All values, as the templates see them, without those of Qdrant's chart."""
        result = default_values()
        for file in FILES[self.files]:
            result = merged(result, yaml.safe_load((SOURCE / file).read_text("utf-8")))
        return merged(result, self.overlay)

    def settings(self, workload: Object) -> ServiceSettings:
        """The settings that a service reads from its ConfigMap. Raises SettingsInvalid."""
        component = workload["metadata"]["labels"]["app.kubernetes.io/name"]
        config = self.rendered.get("ConfigMap", name(workload))["data"]
        return read_settings(component, config)

    @property
    def rendered(self) -> Rendered:
        """What Helm makes of it, rendered once in a process."""
        return _rendered(self)


def read_settings(component: str, variables: Mapping[str, str]) -> ServiceSettings:
    """A service's settings from variables. Raises SettingsInvalid for an unknown or invalid one."""
    with patch.dict(os.environ, variables, clear=True):
        return SERVICES[component].load()


@cache
def _rendered(case: Case) -> Rendered:
    return render(case.overlay, FILES[case.files])


def consistent(overlay: Values) -> Values:
    """The overlay without what the embedded index excludes: more than one retriever."""
    if overlay.get("index", {}).get("engine") == "edge":
        one = {"components": {"retriever": {"autoscaling": {"enabled": False}}}}
        overlay = merged(overlay, one)
        lanes = overlay.get("canary", {}).get("components", [])
        if "retriever" in lanes:
            fewer = [component for component in lanes if component != "retriever"]
            overlay = merged(overlay, {"canary": {"components": fewer}})
    return overlay


def plain() -> list[Case]:
    """The values files as they are."""
    return [Case(files) for files in FILES]


def pairwise() -> list[Case]:
    """Every pair of a values file and positions of the switches."""
    names = ["files", *SWITCHES]
    options: Sequence[Sequence[str]] = [[*FILES], *([*SWITCHES[name]] for name in SWITCHES)]
    rows = [dict(zip(names, row, strict=True)) for row in AllPairs(options)]
    return [_case(row) for row in rows]


def _case(row: Mapping[str, str]) -> Case:
    switches = [(name, position) for name, position in row.items() if name != "files"]
    return Case(row["files"], tuple(switches))


def all_cases() -> list[Case]:
    """The values files as they are, and the combinations."""
    return [*plain(), *pairwise()]


def parameters(cases: Sequence[Case]) -> list[ParameterSet]:
    """The cases for a parametrized test; one process runs all tests of a case, and renders it once."""
    return [
        pytest.param(case, id=str(case), marks=pytest.mark.xdist_group(str(case))) for case in cases
    ]


# For tests of what holds in every case.
each_case = pytest.mark.parametrize("case", parameters(all_cases()))
