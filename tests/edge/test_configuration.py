"""Every configuration that is shipped is one that Envoy takes, and is what the code makes."""

import asyncio
import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rag_local.authority import Authority
from rag_local.edge import binary
from rag_local.envoy import DESCRIPTORS, TEMPLATES, Api, render, write
from rag_local.values import Provider, Values

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = TEMPLATES / "production.toml"
EVERYTHING: dict[str, Any] = {
    "gateways": ("rag-gateway:50051", "[::1]:50051"),
    "gateway_tls": True,
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


async def validate(folder: Path, values: Values) -> tuple[int, str]:
    """Envoy's exit code and what it says of a configuration, with certificates that are there."""
    Authority(folder / "authority").issue(folder / "certificates", ["localhost"])
    placed = dataclasses.replace(
        values,
        certificates=str(folder / "certificates"),
        identity=str(folder / "certificates"),
        secrets=str(folder),
        descriptors=str(DESCRIPTORS),
        admin=str(folder / "admin"),
        public_roots=str(folder / "certificates" / "ca.crt"),
    )
    process = await asyncio.create_subprocess_exec(
        *(binary(), "--mode", "validate", "--log-level", "warning"),
        *("--config-path", str(write(folder, placed))),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode()


@pytest.mark.parametrize(
    "values",
    [Values(), Values(**EVERYTHING), Values.load(PRODUCTION)],
    ids=["default", "everything", "production"],
)
async def test_envoy_takes_it_without_a_warning(tmp_path: Path, values: Values) -> None:
    code, said = await validate(tmp_path, values)
    assert (code, "warning" in said) == (0, False), said


async def test_a_mistake_would_be_seen(tmp_path: Path) -> None:
    code, _ = await validate(tmp_path, Values(health_interval="soon"))
    assert code != 0


def test_what_is_shipped_is_what_the_values_come_to() -> None:
    made = render(Values.load(PRODUCTION), Api())
    folder = TEMPLATES / "production"
    shipped = {path.name: path.read_text("utf-8") for path in folder.iterdir()}
    assert shipped == made, "run: python -m rag_local.envoy deploy/envoy/production.toml " + str(
        folder.relative_to(ROOT)
    )


def test_the_descriptors_are_what_the_contracts_say() -> None:
    script = ROOT / "scripts" / "descriptors.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_unknown_value_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "values.toml"
    path.write_text("prot = 1\n")
    with pytest.raises(ValueError, match="prot is no value"):
        Values.load(path)


def test_the_readme_lists_every_value_with_its_default() -> None:
    text = (TEMPLATES / "README.md").read_text("utf-8")
    missing = [one.name for one in dataclasses.fields(Values) if f"| `{one.name}` |" not in text]
    assert not missing


def test_only_reads_are_asked_twice() -> None:
    api = Api()
    names = {path.rpartition("/")[2] for path in api.reads}
    assert {"Search", "Answer", "GetDocument", "GetIdentity", "ListApiKeys"} <= names
    assert not {"StreamAnswer", "IngestDocument", "CreateApiKey", "IssueToken"} & names
    assert not set(api.reads) & set(api.writes)
