"""Names are short enough for long releases, and no two releases in a namespace share one."""

import pytest
from tools.chart.schema import merged

from tests.chart.test_lanes import CANARY
from tests.support.chart.cases import FILES
from tests.support.chart.rendering import Refused, Rendered, name, render

LONG = "r" + "x" * 51 + "y"
ALL = merged(
    CANARY,
    {
        "telemetry": {"serviceMonitor": {"enabled": True}, "rules": {"enabled": True}},
        "collector": {"enabled": True},
    },
)
# What a controller names after an object: a Service's name is a DNS label, others are subdomains.
LABEL = 63


def own_names(rendered: Rendered) -> set[tuple[str, str]]:
    return {(one["kind"], name(one)) for one in rendered.objects}


@pytest.mark.parametrize("files", ["values-laptop", "eu-central-1"])
def test_two_releases_in_a_namespace_share_no_name(files: str) -> None:
    values = ALL if files != "values-laptop" else {}
    one = own_names(render(values, FILES[files], "one"))
    assert not one & own_names(render(values, FILES[files], "two"))


@pytest.mark.parametrize("length", [20, 40])
def test_names_are_short_enough(length: int) -> None:
    rendered = render(ALL, FILES["eu-central-1"], LONG[:length])
    for one in rendered.own:
        assert len(name(one)) <= (LABEL if one["kind"] in ("Service", "StatefulSet") else 253)
        for label in one["metadata"]["labels"].values():
            assert len(label) <= LABEL


def test_a_release_whose_names_would_be_too_long_is_refused() -> None:
    with pytest.raises(Refused, match="the release name is longer than 40 characters"):
        render(ALL, FILES["eu-central-1"], LONG[:41])
