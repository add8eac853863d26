"""Callers, limits, keys and tokens, in both flavours of the client."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from rag.gateway.v1 import access_service_pb2 as access
from rag_client.convert import access as messages
from rag_contract import errors
from tests.support.client import grants
from tests.support.client.neighbour import Neighbour, PlainRefusal

Call = Callable[..., Any]
DOWN = PlainRefusal(grpc.StatusCode.UNAVAILABLE)


def test_the_caller_is_known_and_asked_for_again_while_the_gateway_is_away(
    neighbour: Neighbour, call: Call
) -> None:
    neighbour.says("GetIdentity", DOWN, grants.identity())
    result = call("identity")
    assert (result.subject, result.tenant, result.tier) == ("kim", "acme", "gold")
    assert (result.scopes, result.collections) == (("answer", "search"), ())


def test_limits_come_in_words_and_seconds(neighbour: Neighbour, call: Call) -> None:
    neighbour.says("GetQuota", grants.quotas(local=True))
    result = call("quota")
    requests, streams = result.quotas
    assert (requests.subject, requests.unit) == ("tenant", "requests")
    assert (requests.limit, requests.remaining) == (1200, 1100)
    assert (requests.refill_per_second, requests.reset) == (0.5, 200.0)
    assert (streams.subject, streams.unit) == ("credential", "concurrent_streams")
    assert result.local


def test_a_unit_of_a_newer_gateway_is_unspecified() -> None:
    newer = access.GetQuotaResponse(quotas=[access.Quota()])
    newer.quotas[0].MergeFromString(b"\x10\x63")
    assert messages.quotas(newer).quotas[0].unit == "unspecified"


def test_a_key_is_created_as_requested_and_its_repr_has_no_secret(
    neighbour: Neighbour, call: Call
) -> None:
    neighbour.says("CreateApiKey", grants.created())
    lifetime = timedelta(days=30)
    result = call("create_api_key", "job", ["search"], collections=["rules"], lifetime=lifetime)
    request = neighbour.heard[0].request
    assert (request.display_name, list(request.scopes)) == ("job", ["search"])
    assert (list(request.collections), request.lifetime.seconds) == (["rules"], 30 * 86_400)
    assert (result.key, result.api_key.api_key_id) == (grants.KEY, "id1")
    assert result.api_key.expire_time == datetime(2100, 1, 1, tzinfo=UTC)
    assert result.api_key.revoke_time is None
    assert "id1" in repr(result)
    assert grants.KEY not in f"{result}{result!r}"


def test_a_token_is_issued_as_requested_and_its_repr_has_no_secret(
    neighbour: Neighbour, call: Call
) -> None:
    neighbour.says("IssueToken", grants.issued())
    issued = call("issue_token", "kim", ["search"], lifetime=timedelta(minutes=5))
    request = neighbour.heard[0].request
    assert (request.subject, request.lifetime.seconds) == ("kim", 300)
    assert (issued.token, issued.token_id) == (grants.TOKEN, "jti-1")
    assert issued.expire_time == datetime(2100, 1, 1, tzinfo=UTC)
    assert "jti-1" in repr(issued)
    assert grants.TOKEN not in f"{issued}{issued!r}"


def test_a_lifetime_that_is_not_given_is_the_gateways_to_choose(
    neighbour: Neighbour, call: Call
) -> None:
    neighbour.says("CreateApiKey", grants.created())
    neighbour.says("IssueToken", grants.issued())
    call("create_api_key", "job", ["search"])
    call("issue_token", "kim", ["search"])
    assert not any(heard.request.HasField("lifetime") for heard in neighbour.heard)


def test_keys_come_page_after_page(neighbour: Neighbour, call: Call) -> None:
    neighbour.says("ListApiKeys", grants.page("a", "b", token="2"), DOWN, grants.page("c"))
    result = call("api_keys", page_size=2)
    assert [key.api_key_id for key in result] == ["a", "b", "c"]
    requested = [(heard.request.page_size, heard.request.page_token) for heard in neighbour.heard]
    assert requested == [(2, ""), (2, "2"), (2, "2")]


def test_keys_and_tokens_are_revoked_by_their_ids(neighbour: Neighbour, call: Call) -> None:
    ended = grants.api_key(revoked=0)
    neighbour.says("RevokeApiKey", access.RevokeApiKeyResponse(api_key=ended))
    neighbour.says("RevokeToken", access.RevokeTokenResponse())
    assert call("revoke_api_key", "id1").revoke_time == datetime(1970, 1, 1, tzinfo=UTC)
    assert call("revoke_token", "jti-1") is None
    assert neighbour.calls("RevokeApiKey")[0].request.api_key_id == "id1"
    assert neighbour.calls("RevokeToken")[0].request.token_id == "jti-1"


@pytest.mark.parametrize(
    ("name", "method", "arguments"),
    [
        ("create_api_key", "CreateApiKey", ("job", ["search"])),
        ("issue_token", "IssueToken", ("kim", ["search"])),
        ("revoke_api_key", "RevokeApiKey", ("id1",)),
        ("revoke_token", "RevokeToken", ("jti-1",)),
        ("ingest", "IngestDocument", (b"text",)),
    ],
)
def test_what_changes_something_is_never_tried_again(
    neighbour: Neighbour, call: Call, name: str, method: str, arguments: tuple[Any, ...]
) -> None:
    neighbour.says(method, DOWN)
    with pytest.raises(errors.Unavailable):
        call(name, *arguments)
    assert len(neighbour.heard) == 1
