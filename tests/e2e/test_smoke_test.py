"""`python -m rag_client.smoke_test`, as `helm test` runs it, on a real platform."""

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from rag_client.client.sync import Client
from rag_client.smoke_test import CheckFailed, Fact, run
from tests.e2e.platform import Platform


def smoke_test(variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("RAG_")}
    command = [sys.executable, "-m", "rag_client.smoke_test"]
    return subprocess.run(
        command,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def variables(platform: Platform) -> dict[str, str]:
    return {"RAG_TARGET": platform.target, "RAG_TOKEN": platform.token("smoke")}


def test_it_passes_and_leaves_nothing(platform: Platform, variables: dict[str, str]) -> None:
    result = smoke_test(variables)
    assert (result.returncode, result.stderr) == (0, "")
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == [
        "upload",
        "answer",
        "delete",
        "search after deletion",
    ]
    assert " trace " in result.stdout
    with Client(platform.target, token=platform.token("smoke")) as client:
        assert list(client.list_documents(collection="smoke-test")) == []


def test_another_region_than_expected_fails_and_deletes_the_document(
    platform: Platform, variables: dict[str, str]
) -> None:
    result = smoke_test({**variables, "RAG_REGION": "eu-central-1"})
    assert result.returncode == 1
    assert "region '' answered, not 'eu-central-1'" in result.stderr
    with Client(platform.target, token=platform.token("smoke")) as client:
        assert list(client.list_documents(collection="smoke-test")) == []


def test_an_answer_without_the_fact_fails(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fact, "question", "회사의 본사는 어디에 있나요?")
    with (
        Client(platform.target, token=platform.token("smoke")) as client,
        pytest.raises(CheckFailed, match="the answer lacks"),
    ):
        run(client)


def test_a_refused_token_is_one_sentence(variables: dict[str, str]) -> None:
    result = smoke_test({**variables, "RAG_TOKEN": "rag_no-such-key"})
    assert result.returncode == 1
    assert result.stderr.startswith("smoke test failed: ")
    assert len(result.stderr.splitlines()) == 1
