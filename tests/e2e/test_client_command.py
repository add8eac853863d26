"""`rag` against the running platform: who calls, what they can grant, and what the doctor finds."""

import json
import secrets
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from typer.testing import CliRunner, Result

from rag_cli.main import app
from tests.e2e.platform import Platform

Run: TypeAlias = Callable[..., Result]

SCOPES = {"search", "answer", "ingest", "admin"}


@pytest.fixture
def rag(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command as `make run` has it called, for a tenant of the test's own."""
    environment = {
        "RAG_TARGET": platform.target,
        "RAG_HOME": str(platform.home),
        "RAG_TENANT": f"t-{secrets.token_hex(6)}",
        "RAG_METRICS_URLS": " ".join(
            f"{name}=http://127.0.0.1:{spec.http_port}" for name, spec in platform.specs.items()
        ),
        "COLUMNS": "200",
    }
    for name in ("RAG_TOKEN", "RAG_TOKEN_FILE", "RAG_CA_FILE", "RAG_CA", "RAG_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return lambda *words: CliRunner().invoke(app, words)


def _checks(result: Result) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in json.loads(result.stdout)["checks"]}


def test_every_scope_that_whoami_prints_can_be_granted(rag: Run) -> None:
    who = json.loads(rag("whoami", "--json").stdout)
    assert set(who["scopes"]) == SCOPES
    printed = next(
        line.split(maxsplit=1)[1].strip()
        for line in rag("whoami").stdout.splitlines()
        if line.startswith("scopes")
    )
    created = rag("keys", "create", "all of them", "--scope", printed)
    assert created.exit_code == 0, created.stderr
    key = created.stdout.strip()
    assert set(json.loads(rag("whoami", "--json", "--token", key).stdout)["scopes"]) == SCOPES
    # What it says of itself is true: it can administer.
    assert rag("keys", "list", "--token", key).exit_code == 0


def test_a_caller_that_whoami_calls_no_administrator_is_none(rag: Run) -> None:
    key = rag("keys", "create", "few", "--scope", "search,answer").stdout.strip()
    who = json.loads(rag("whoami", "--json", "--token", key).stdout)
    assert who["scopes"] == ["answer", "search"]
    refused = rag("keys", "create", "more", "--scope", "search", "--token", key)
    assert refused.exit_code == 1
    assert "SCOPE_MISSING" in refused.stderr


def test_the_doctor_finds_all_well(rag: Run) -> None:
    result = rag("doctor", "--json")
    found = _checks(result)
    assert {name: check["detail"] for name, check in found.items() if check["status"] != "ok"} == {}
    assert result.exit_code == 0
    services = {
        f"service {name}" for name in ("gateway", "embedder", "retriever", "generator", "ingestor")
    }
    assert services | {"health", "identity", "clock", "index", "disk"} <= found.keys()
    assert "within a second" in found["clock"]["detail"]


def test_the_doctor_tells_a_revoked_key_and_the_server_s_clock_beside_it(rag: Run) -> None:
    created = json.loads(rag("keys", "create", "short", "--scope", "search", "--json").stdout)
    key = created["key"]
    assert rag("doctor", "--token", key).exit_code == 0
    assert rag("keys", "revoke", created["api_key"]["api_key_id"]).exit_code == 0
    result = rag("doctor", "--json", "--token", key)
    found: Any = _checks(result)
    assert result.exit_code == 1
    assert "KEY_REVOKED" in found["identity"]["detail"]
    assert "rag keys create" in found["identity"]["advice"]
    assert found["clock"]["status"] == "ok"
    assert key not in result.stdout


def test_a_service_that_is_named_and_not_there_is_told(
    rag: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_METRICS_URLS", "embedder=http://127.0.0.1:9")
    result = _checks(rag("doctor", "--json"))
    assert result["service embedder"]["status"] == "failure"
    assert "127.0.0.1:9" in result["service embedder"]["detail"]
