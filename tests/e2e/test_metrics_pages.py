"""docs/metrics.md is what the code says, and what started services really show."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from rag_common.identity import open_identity
from rag_common.observability.metrics import Metrics
from rag_generator.settings import Settings
from rag_local.backends.vault import vault
from tests.e2e.platform import Platform
from tests.support.parts import tool

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "metrics.md").read_text("utf-8")
SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if path.is_dir())
COMMON, TRUST, PROCESS = (
    "Every service",
    "Every service with TLS or Vault",
    "Every process",
)
CANARY = "The analysis of a canary"
# What the format itself adds.
IMPLIED = {"service", "le"}

Rows = dict[str, tuple[str, set[str]]]


@cache
def documented() -> dict[str, Rows]:
    """For each section, type and labels of each metric."""
    sections = dict(part.split("\n", 1) for part in DOCUMENT.split("\n## ")[1:])
    return {title: dict(rows(text)) for title, text in sections.items()}


def rows(text: str) -> Iterator[tuple[str, tuple[str, set[str]]]]:
    for name, kind, labels in re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \|", text, re.MULTILINE):
        yield name, (kind, set(re.findall(r"`(\w+)`", labels)))


def shown(family: Metric) -> str:
    """The metric's name as queries use it."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def ours(families: dict[str, Metric]) -> set[str]:
    return {name for name in families if name.startswith("rag_")}


def read(text: str) -> dict[str, Metric]:
    """The metrics of a page, as a strict reader of the format has them."""
    families: Any = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return {shown(family): family for family in families}


async def page(platform: Platform, service: str) -> dict[str, Metric]:
    url = f"http://127.0.0.1:{platform.specs[service].http_port}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return read(await response.text())


def test_each_service_has_a_section() -> None:
    assert {COMMON, TRUST, PROCESS, CANARY, *SERVICES} == set(documented())
    assert all(documented().values())


def test_a_metric_has_the_same_type_and_labels_wherever_it_is() -> None:
    result: dict[str, tuple[str, set[str]]] = {}
    for section in documented().values():
        for name, row in section.items():
            assert result.setdefault(name, row) == row, name


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_shows_what_is_documented_and_nothing_else(
    platform: Platform, service: str
) -> None:
    families = await page(platform, service)
    assert ours(families) == documented()[COMMON].keys() | documented()[service].keys()
    assert documented()[PROCESS].keys() == families.keys() - ours(families)
    rows = {**documented()[COMMON], **documented()[PROCESS], **documented()[service]}
    for name, family in families.items():
        kind, labels = rows[name]
        assert family.type == kind, name
        for sample in family.samples:
            assert sample.labels["service"] == service
            assert sample.labels.keys() - IMPLIED == labels, sample


async def test_with_tls_and_vault_the_rest_of_the_document_is_shown(tmp_path: Path) -> None:
    tool("bao", "make run VAULT=1, or make test")
    metrics = Metrics("generator", "1")
    with vault(tmp_path, {}) as running:
        environment = running.environment("generator")
        own = {name.removeprefix("GENERATOR_").lower(): text for name, text in environment.items()}
        settings = Settings.load(**own, tls="vault")
        async with open_identity(settings, "generator", metrics):
            families = read((await metrics.pages()["/metrics"]()).body.decode())
    assert ours(families) == documented()[COMMON].keys() | documented()[TRUST].keys()
