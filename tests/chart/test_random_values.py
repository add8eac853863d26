"""Whatever the schema allows is rendered into valid objects, or refused with a sentence of the chart."""

import os
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from tools.chart.package import SOURCE

from tests.support.chart.cases import FILES
from tests.support.chart.rendering import Refused, render
from tests.support.chart.strategies import SCHEMA, overlays
from tests.support.chart.validation import VERSIONS, errors

EXAMPLES = int(os.environ.get("CHART_EXAMPLES", "40"))
# Sentences of the chart, with any text for what they name.
SENTENCES = [
    re.escape(re.sub(r"%[sv]", "@", sentence)).replace("@", ".*")
    for path in SOURCE.glob("templates/**/*")
    if path.is_file()
    for sentence in re.findall(
        r'(?:fail|required) \(?(?:printf )?"([^"]+)"', path.read_text("utf-8")
    )
]


@pytest.mark.parametrize("files", ["values-laptop", "eu-central-1"])
def test_random_values_are_rendered_or_refused(files: str) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(overlays())
    def rendered_or_refused(overlay: dict[str, Any]) -> None:
        assert problems(overlay, files) == []

    rendered_or_refused()


def problems(overlay: dict[str, Any], files: str) -> list[str]:
    """What is wrong with the objects, or a refusal that is none of the chart's own."""
    try:
        rendered = render(overlay, FILES[files])
    except Refused as refusal:
        known = any(re.search(sentence, str(refusal)) for sentence in SENTENCES)
        return [] if known else [str(refusal)]
    return [error for one in rendered.own for error in errors(one, VERSIONS[-1])]


def test_the_sentences_are_found() -> None:
    assert len(SENTENCES) > 15
    assert SCHEMA["properties"].keys() >= {"components", "edge"}
