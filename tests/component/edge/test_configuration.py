"""Every configuration that is shipped is one that Envoy takes, and is what the code makes."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from rag_common.settings import SettingsInvalid
from rag_edge.edge_config import EdgeConfig, Lane, Provider
from rag_edge.render import Api, render
from tests.support.edge.validation import validate

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy" / "envoy"
PRODUCTION = DEPLOY / "production.toml"
EVERYTHING: dict[str, Any] = {
    "gateways": ("rag-gateway:50051", "[::1]:50051"),
    "gateway_tls": True,
    "lanes": (Lane("baseline", ("base:50051",), 5), Lane("canary", ("canary:50051",), 5)),
    "lane_header": True,
    "region": 'eu"1',
    "reflection": True,
    "otlp": "collector:4317",
    "metrics_port": 9902,
    "origins": ("https://a.example", 'https://"b".example'),
    "trusted_hops": 2,
    "providers": (
        Provider("platform", "https://own.example", ("rag",)),
        Provider("corp", "https://sso.example", ("rag", "x"), "https://sso.example/keys"),
        Provider("old", "https://old.example", ("rag",), "http://127.0.0.1:8080/keys"),
    ),
}


@pytest.mark.parametrize(
    "values",
    [EdgeConfig(), EdgeConfig(**EVERYTHING), EdgeConfig.load(PRODUCTION)],
    ids=["default", "everything", "production"],
)
async def test_envoy_takes_it_without_a_warning(tmp_path: Path, values: EdgeConfig) -> None:
    code, output = await validate(tmp_path, values)
    assert (code, "warning" in output) == (0, False), output


async def test_a_mistake_would_be_seen(tmp_path: Path) -> None:
    code, _ = await validate(tmp_path, EdgeConfig(health_interval="soon"))
    assert code != 0


def test_what_is_shipped_is_what_the_values_come_to() -> None:
    created = render(EdgeConfig.load(PRODUCTION), Api())
    folder = DEPLOY / "production"
    shipped = {path.name: path.read_text("utf-8") for path in folder.iterdir()}
    assert shipped == created, "run: python -m rag_edge.render deploy/envoy/production.toml " + str(
        folder.relative_to(ROOT)
    )


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("prot = 1", "prot"),
        ('port = "https"', "port"),
        (
            '[[providers]]\nname = "a"\nissuer = "a"\naudiences = ["a"]\nkey = "a"',
            r"providers\[0\].key",
        ),
    ],
)
def test_an_invalid_value_is_reported_by_its_key(tmp_path: Path, text: str, key: str) -> None:
    path = tmp_path / "values.toml"
    path.write_text(text)
    with pytest.raises(SettingsInvalid, match=f"values.toml is invalid: {key}: "):
        EdgeConfig.load(path)


def test_the_readme_lists_every_value_with_its_default() -> None:
    text = (DEPLOY / "README.md").read_text("utf-8")
    missing = [
        one.name for one in dataclasses.fields(EdgeConfig) if f"| `{one.name}` |" not in text
    ]
    assert not missing


def test_only_reads_are_asked_twice() -> None:
    api = Api()
    names = {path.rpartition("/")[2] for path in api.reads}
    assert {"Search", "Answer", "GetDocument", "GetIdentity", "ListApiKeys"} <= names
    assert not {"StreamAnswer", "IngestDocument", "CreateApiKey", "IssueToken"} & names
    assert not set(api.reads) & set(api.writes)
