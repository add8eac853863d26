"""`rag whoami`, `quota`, `keys` and `tokens`, from their arguments to their output and exit code."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rag.gateway.v1 import access_service_pb2 as access
from rag_client.console.durations import span
from rag_common import errors
from tests.client import grants
from tests.client.conftest import Rag
from tests.client.neighbour import TRACE, Neighbour

CREATE = ("keys", "create", "nightly job", "--scope", "search")
ISSUE = ("tokens", "issue", "kim", "--scope", "search")


def test_whoami_says_who_calls(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("GetIdentity", grants.identity())
    lines = rag("whoami").stdout.splitlines()
    facts = dict(line.split(maxsplit=1) for line in lines if len(line.split()) > 1)
    assert facts["subject"].strip() == "kim"
    assert facts["scopes"].strip() == "answer, search"
    assert facts["collections"].strip() == "all"


def test_quota_is_a_line_a_limit(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("GetQuota", grants.quotas())
    heading, requests, streams = rag("quota").stdout.splitlines()
    assert heading.split() == ["subject", "unit", "left", "refill", "reset"]
    assert requests.split() == ["tenant", "requests", "1,100/1,200", "0.5/s", "3", "min", "20", "s"]
    assert streams.split() == ["credential", "concurrent", "streams", "7/8", "–", "–"]


def test_limits_of_one_replica_alone_are_called_that(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("GetQuota", grants.quotas(local=True))
    assert "one replica's own" in rag("quota").stdout


def test_into_a_pipe_goes_the_key_alone(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("CreateApiKey", grants.created())
    result = rag(*CREATE, "--collection", "rules", "--days", "30")
    assert (result.stdout, result.stderr) == (f"{grants.KEY}\n", "")
    request = neighbour.heard[0].request
    assert (request.display_name, list(request.collections)) == ("nightly job", ["rules"])
    assert request.lifetime.seconds == 30 * 86_400


def test_on_a_terminal_the_key_comes_with_a_warning(
    neighbour: Neighbour, target: str, tmp_path: Path
) -> None:
    neighbour.says("CreateApiKey", grants.created())
    terminal, far_end = pty.openpty()
    code = "from rag_client.command import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *CREATE, "--target", target, "--token", "t"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "200"},
        stdout=far_end,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(far_end)
    _, said = process.communicate(timeout=60)
    shown = os.read(terminal, 4096).decode()
    os.close(terminal)
    assert shown.split() == [grants.KEY]
    assert "the only time the key is shown" in said
    assert "2100-01-01" in said


def test_a_created_key_as_json_has_its_secret_and_its_facts(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("CreateApiKey", grants.created())
    made = json.loads(rag(*CREATE, "--json").stdout)
    assert made["key"] == grants.KEY
    assert made["api_key"]["expire_time"] == "2100-01-01T00:00:00+00:00"


def test_keys_are_listed_with_their_state(rag: Rag, neighbour: Neighbour) -> None:
    keys = [
        grants.api_key("good"),
        grants.api_key("old", ends=1_577_836_801),
        grants.api_key("bad", revoked=1_577_836_800),
    ]
    neighbour.says("ListApiKeys", access.ListApiKeysResponse(api_keys=keys))
    result = rag("keys", "list")
    states = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert states["good"].split()[-1] == "active"
    assert states["old"].split()[-1] == "expired"
    assert "revoked 2020-01-01" in states["bad"]


def test_listed_keys_as_json_are_a_line_each(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("ListApiKeys", grants.page("a", token="2"), grants.page("b"))
    lines = rag("keys", "list", "--json").stdout.splitlines()
    assert [json.loads(line)["api_key_id"] for line in lines] == ["a", "b"]


def test_a_key_and_a_token_are_revoked(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("RevokeApiKey", access.RevokeApiKeyResponse(api_key=grants.api_key()))
    neighbour.says("RevokeToken", access.RevokeTokenResponse())
    assert rag("keys", "revoke", "id1").stdout == "id1 is revoked\n"
    assert rag("tokens", "revoke", "jti-1").stdout == "jti-1 is revoked\n"


def test_into_a_pipe_goes_the_token_alone(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("IssueToken", grants.issued())
    assert rag(*ISSUE, "--minutes", "5").stdout == f"{grants.TOKEN}\n"
    request = neighbour.heard[0].request
    assert (request.subject, request.lifetime.seconds) == ("kim", 300)


def test_an_issued_token_as_json_has_its_id(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("IssueToken", grants.issued())
    found = json.loads(rag(*ISSUE, "--json").stdout)
    assert (found["token"], found["token_id"]) == (grants.TOKEN, "jti-1")


@pytest.mark.parametrize(
    "words",
    [
        ("keys", "create", "job"),
        ("tokens", "issue", "kim"),
        (*CREATE, "--days", "0"),
        (*CREATE, "--days", "367"),
        (*ISSUE, "--minutes", "1441"),
        ("keys", "revoke"),
        ("keys",),
    ],
)
def test_wrong_usage_ends_with_2(rag: Rag, neighbour: Neighbour, words: tuple[str, ...]) -> None:
    assert rag(*words).exit_code == 2
    assert not neighbour.heard


def test_only_administration_is_signed_for_with_the_scope_of_it(
    rag: Rag, neighbour: Neighbour, key: Ed25519PrivateKey
) -> None:
    neighbour.says("ListApiKeys", grants.page())
    neighbour.says("GetIdentity", grants.identity())
    rag("keys", "list")
    rag("whoami")
    administering, asking = (
        jwt.decode(
            heard.metadata["authorization"].removeprefix("Bearer "),
            key.public_key(),
            ["EdDSA"],
            audience="rag",
        )["scope"].split()
        for heard in neighbour.heard
    )
    assert "admin" in administering
    assert "admin" not in asking


def test_a_limit_that_is_reached_says_when_to_come_back(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("GetQuota", errors.RateLimited("too many calls", retry_after=61.2))
    result = rag("quota")
    facts = f"(RATE_LIMITED, try again in 1 min 2 s, trace {TRACE})"
    assert (result.exit_code, result.stderr) == (1, f"rag: too many calls {facts}\n")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "0 s"),
        (0.31, "0.4 s"),
        (0.7, "0.7 s"),
        (49.2, "50 s"),
        (60.0, "1 min"),
        (200.0, "3 min 20 s"),
        (7500.0, "2 h 5 min"),
        (90 * 86_400.0, "90 d"),
    ],
)
def test_a_span_is_said_in_two_units_at_most(seconds: float, expected: str) -> None:
    assert span(seconds) == expected
