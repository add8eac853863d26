"""`rag whoami`, `quota`, `keys` and `tokens`, from their arguments to their output and exit code."""

import json
import os
import pty
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rag.gateway.v1 import access_service_pb2 as access
from rag_cli.durations import format_duration
from rag_contract import errors
from tests.support.client import grants
from tests.support.client.fixtures import Rag, start_rag
from tests.support.client.neighbour import TRACE, Neighbour

CREATE = ("keys", "create", "nightly job", "--scope", "search")
ISSUE = ("tokens", "issue", "kim", "--scope", "search")


@pytest.mark.parametrize(
    ("words", "source"),
    [((), "signed here with the development key"), (("--token", "x"), "--token")],
)
def test_whoami_says_who_calls_and_where_the_token_came_from(
    rag: Rag, neighbour: Neighbour, words: tuple[str, ...], source: str
) -> None:
    neighbour.says("GetIdentity", grants.identity())
    output = rag("whoami", *words).stdout
    facts = dict(line.split(maxsplit=1) for line in output.splitlines() if len(line.split()) > 1)
    assert facts["subject"].strip() == "kim"
    assert facts["scopes"].strip() == "answer, search"
    assert facts["collections"].strip() == "all"
    assert source in output


@pytest.mark.parametrize("local", [False, True])
def test_quota_is_a_line_a_limit_and_says_if_it_is_of_one_replica_alone(
    rag: Rag, neighbour: Neighbour, local: bool
) -> None:
    neighbour.says("GetQuota", grants.quotas(local=local))
    heading, requests, streams, *note = rag("quota").stdout.splitlines()
    assert heading.split() == ["subject", "unit", "left", "refill", "reset"]
    assert requests.split() == ["tenant", "requests", "1,100/1,200", "0.5/s", "3", "min", "20", "s"]
    assert streams.split() == ["credential", "concurrent", "streams", "7/8", "–", "–"]
    assert ("limits of one replica" in "".join(note)) == local


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
    words = (*CREATE, "--target", target, "--token", "t")
    process = start_rag(*words, cwd=tmp_path, stdout=far_end)
    os.close(far_end)
    _, output = process.communicate(timeout=60)
    shown = os.read(terminal, 4096).decode()
    os.close(terminal)
    assert shown.split() == [grants.KEY]
    assert "shown only once" in output
    assert "2100-01-01" in output


def test_a_created_key_and_an_issued_token_as_json_have_their_facts(
    rag: Rag, neighbour: Neighbour
) -> None:
    neighbour.says("CreateApiKey", grants.created())
    neighbour.says("IssueToken", grants.issued())
    created = json.loads(rag(*CREATE, "--json").stdout)
    assert created["key"] == grants.KEY
    assert created["api_key"]["expire_time"] == "2100-01-01T00:00:00+00:00"
    issued = json.loads(rag(*ISSUE, "--json").stdout)
    assert (issued["token"], issued["token_id"]) == (grants.TOKEN, "jti-1")


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


@pytest.mark.parametrize(
    "words",
    [
        ("search",),
        ("search", "q", "--top-k", "-1"),
        ("ask", "q", "--mode", "fuzzy"),
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
    neighbour.says("GetQuota", grants.quotas())
    rag("keys", "list")
    rag("whoami")
    rag("quota")
    administering, introducing, asking = (
        jwt.decode(
            heard.metadata["authorization"].removeprefix("Bearer "),
            key.public_key(),
            ["EdDSA"],
            audience="rag",
        )["scope"].split()
        for heard in neighbour.heard
    )
    # What whoami says is what `rag keys create` can grant.
    assert administering == introducing
    assert "admin" in administering
    assert "admin" not in asking


@pytest.mark.parametrize(
    "scopes",
    [
        ("--scope", "answer, search"),
        ("--scope", "answer,search"),
        ("--scope", "answer", "--scope", "search"),
        ("--scope", "answer,search", "--scope", " search ,"),
    ],
)
def test_scopes_are_taken_as_whoami_prints_them(
    rag: Rag, neighbour: Neighbour, key: Ed25519PrivateKey, scopes: tuple[str, ...]
) -> None:
    neighbour.says("CreateApiKey", grants.created())
    neighbour.says("IssueToken", grants.issued())
    rag("keys", "create", "job", *scopes)
    rag("tokens", "issue", "kim", *scopes)
    assert [list(heard.request.scopes) for heard in neighbour.heard] == [["answer", "search"]] * 2
    signed = jwt.decode(
        rag("token", *scopes).stdout.strip(), key.public_key(), ["EdDSA"], audience="rag"
    )
    assert signed["scope"] == "answer search"


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
    assert format_duration(seconds) == expected
