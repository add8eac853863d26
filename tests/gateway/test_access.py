"""AccessService on a real server: keys and tokens made, used, listed and ended, inside one tenant."""

import json
import time
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from pydantic_settings import SettingsConfigDict

from rag.gateway.v1 import access_service_pb2 as pb
from rag.gateway.v1.access_service_pb2_grpc import (
    AccessServiceStub,
    add_AccessServiceServicer_to_server,
)
from rag_common import errors
from rag_common.context import Principal
from rag_common.rpc.listening import Guard
from rag_common.rpc.server import Service, serving
from rag_common.rpc.status import from_rpc_error
from rag_common.settings import ServiceSettings
from rag_common.telemetry import Telemetry
from rag_gateway.access import Access, Grant
from rag_gateway.access_servicer import AccessServicer
from rag_gateway.adapters.apikeys import ApiKeys
from rag_gateway.adapters.bearer import Authenticator
from rag_gateway.adapters.credentials.revoked import Revoked
from rag_gateway.adapters.issuers import Issuer, Issuers, Trusted
from rag_gateway.adapters.keys import FileSigner, KeySet, signed_by
from rag_gateway.adapters.local.buckets import LocalBuckets
from rag_gateway.adapters.local.limits import read
from rag_gateway.adapters.local.replies import LocalReplies
from rag_gateway.adapters.tokens import Tokens
from rag_gateway.audit import Audit
from rag_gateway.counter import Counter
from rag_gateway.idempotency import Idempotency
from rag_gateway.policy import SHIPPED, load
from rag_gateway.quotas import Quotas
from rag_local.keys import ensure
from tests.gateway.stores import Open, in_file, in_redis
from tests.redis import RedisServer, redis_server
from tests.rpc import logged
from tests.waiting import until

ACCESS = pb.DESCRIPTOR.services_by_name["AccessService"]
PUBLIC = {f"/{ACCESS.full_name}/{method.name}" for method in ACCESS.methods}


class Settings(ServiceSettings):
    """Those every service has; stopping takes no longer than the calls."""

    model_config = SettingsConfigDict(env_prefix="ACCESS_")

    drain_delay: float = 0


@dataclass(frozen=True, slots=True)
class Replica:
    """A gateway that has this service alone, and a channel to it."""

    channel: grpc.aio.Channel
    signer: FileSigner

    async def token(self, scope: str = "admin", tenant: str = "acme", **claims: Any) -> str:
        """A token of the platform's own issuer."""
        now = int(time.time())
        said = {"iss": "rag", "aud": "rag", "sub": "kim", "tenant": tenant, "scope": scope}
        return await self.signer.sign({**said, "iat": now, "exp": now + 600, **claims})

    async def call(self, token: str, method: str, **fields: Any) -> Any:
        """The reply. Raises AppError."""
        request = getattr(pb, f"{method}Request")(**fields)
        metadata = (("authorization", f"Bearer {token}"),)
        try:
            return await getattr(AccessServiceStub(self.channel), method)(
                request, metadata=metadata
            )
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error

    async def identity(self, token: str) -> pb.GetIdentityResponse:
        found: pb.GetIdentityResponse = await self.call(token, "GetIdentity")
        return found


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "redis"])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    if request.param == "sqlite":
        return in_file(tmp_path / "credentials.sqlite")
    return in_redis(request.getfixturevalue("redis").url, f"{tmp_path.name}:")


@pytest.fixture
async def replica(opening: Open, tmp_path: Path) -> AsyncIterator[Replica]:
    async with running(opening, tmp_path) as found:
        yield found


@pytest.fixture
async def other(opening: Open, tmp_path: Path) -> AsyncIterator[Replica]:
    async with running(opening, tmp_path) as found:
        yield found


@asynccontextmanager
async def running(opening: Open, folder: Path, *, signing: bool = True) -> AsyncIterator[Replica]:
    """One replica, put together as app.py does it."""
    signer = await FileSigner.read(ensure(folder / "keys"))
    rules = Trusted(issuer="rag", audience="rag", jwks="-", tenants=frozenset({"*"}))
    issuers = Issuers([Issuer(rules, KeySet("rag", signed_by(signer)))])
    policy, audit = load(SHIPPED, _shipped()), Audit()
    async with opening() as store:
        revoked = Revoked(store, stale=900)
        await revoked.refresh()
        keys = ApiKeys(store, revoked)
        access = Access(
            store,
            revoked,
            signer if signing else None,
            issuer="rag",
            audience="rag",
            token_memory=issuers.longest_lifetime,
        )
        tokens = Tokens(issuers, policy, revoked, leeway=30)
        door = Authenticator(tokens, keys, policy, audit)
        quotas = Quotas(read(), LocalBuckets())
        counter = Counter(ACCESS.full_name, audit, quotas, Idempotency(LocalReplies()))
        servicer = AccessServicer(access, audit, counter, _quota)
        service = Service(ACCESS.full_name, add_AccessServiceServicer_to_server, servicer)
        async with (
            revoked.following(0.1),
            keys.noting_uses(0.1),
            serving([service], Settings(), Telemetry(), guard=Guard(door)) as ports,
            grpc.aio.insecure_channel(f"127.0.0.1:{ports.grpc}") as channel,
        ):
            yield Replica(channel, signer)


async def test_a_key_is_made_used_and_ended_at_once(replica: Replica) -> None:
    admin = await replica.token()
    made = await replica.call(
        admin, "CreateApiKey", display_name="야간 수집", scopes=["search"], collections=["hr"]
    )
    found = await replica.identity(made.key)
    assert (found.tenant, list(found.scopes), list(found.collections)) == (
        "acme",
        ["search"],
        ["hr"],
    )
    assert found.credential_id == made.api_key.api_key_id
    assert made.key.startswith(f"rag_{made.api_key.api_key_id}_")
    ended = await replica.call(admin, "RevokeApiKey", api_key_id=made.api_key.api_key_id)
    assert ended.api_key.HasField("revoke_time")
    with pytest.raises(errors.KeyRevoked):
        await replica.identity(made.key)


async def test_a_key_that_one_replica_ends_the_others_end_too(
    replica: Replica, other: Replica
) -> None:
    admin = await replica.token()
    made = await replica.call(admin, "CreateApiKey", display_name="x", scopes=["search"])
    await other.identity(made.key)
    await replica.call(admin, "RevokeApiKey", api_key_id=made.api_key.api_key_id)
    await until(lambda: _is_revoked(other, made.key), "the other replica heard of it")


async def test_a_token_is_issued_used_and_revoked_at_once(replica: Replica, other: Replica) -> None:
    admin = await replica.token()
    issued = await replica.call(
        admin, "IssueToken", subject="lee", scopes=["search", "answer"], collections=["hr"]
    )
    found = await replica.identity(issued.token)
    assert (found.subject, found.tenant) == ("lee", "acme")
    assert (list(found.scopes), list(found.collections)) == (["answer", "search"], ["hr"])
    assert found.credential_id == issued.token_id
    await other.identity(issued.token)
    await replica.call(admin, "RevokeToken", token_id=issued.token_id)
    with pytest.raises(errors.KeyRevoked):
        await replica.identity(issued.token)
    await until(lambda: _is_revoked(other, issued.token), "the other replica heard of it")


async def test_a_revocation_does_not_reach_into_another_tenant(replica: Replica) -> None:
    theirs = await replica.token("search", "beta", jti="t-1")
    await replica.call(await replica.token(), "RevokeToken", token_id="t-1")
    assert (await replica.identity(theirs)).tenant == "beta"


async def test_another_tenant_s_keys_are_neither_listed_nor_ended(replica: Replica) -> None:
    made = await replica.call(
        await replica.token(), "CreateApiKey", display_name="x", scopes=["search"]
    )
    stranger = await replica.token(tenant="beta")
    assert not (await replica.call(stranger, "ListApiKeys")).api_keys
    told = []
    for key_id in (made.api_key.api_key_id, "a" * 16):
        with pytest.raises(errors.NotFound) as raised:
            await replica.call(stranger, "RevokeApiKey", api_key_id=key_id)
        told.append(raised.value.message)
    assert told[0] == told[1]
    await replica.identity(made.key)


async def test_keys_are_listed_page_by_page_and_without_their_secrets(replica: Replica) -> None:
    admin = await replica.token()
    made = [
        await replica.call(admin, "CreateApiKey", display_name=str(number), scopes=["search"])
        for number in range(5)
    ]
    names, token = [], ""
    while True:
        page = await replica.call(admin, "ListApiKeys", page_size=2, page_token=token)
        names += [key.display_name for key in page.api_keys]
        assert not any(one.key[-40:] in str(page) for one in made)
        token = page.next_page_token
        if not token:
            break
    assert names == ["4", "3", "2", "1", "0"]


@pytest.mark.parametrize(
    "token", ["x", "!!!!", "e30", "MTIzNDU", "LmE", "OTk5OTk5OTk5OTk5OTk5OTk5OTkuYQ", "가"]
)
async def test_a_page_token_of_nobody_s_is_invalid(replica: Replica, token: str) -> None:
    with pytest.raises(errors.InvalidArgument):
        await replica.call(await replica.token(), "ListApiKeys", page_token=token)


async def test_the_last_use_is_known_after_a_while(replica: Replica) -> None:
    admin = await replica.token()
    made = await replica.call(admin, "CreateApiKey", display_name="x", scopes=["search"])
    assert not made.api_key.HasField("last_use_time")
    await replica.identity(made.key)

    async def noted() -> bool:
        [key] = (await replica.call(admin, "ListApiKeys")).api_keys
        return bool(key.HasField("last_use_time"))

    await until(noted, "the use was noted")


@pytest.mark.parametrize("method", ["CreateApiKey", "IssueToken"])
@pytest.mark.parametrize("asked", [["law"], ["hr", "law"]])
async def test_nobody_gives_a_collection_that_they_do_not_have(
    replica: Replica, method: str, asked: list[str]
) -> None:
    admin = await replica.token(collections=["hr"])
    with pytest.raises(errors.CollectionForbidden):
        await replica.call(admin, method, **_named(method), scopes=["search"], collections=asked)


@pytest.mark.parametrize("method", ["CreateApiKey", "IssueToken"])
async def test_asking_for_no_collections_gives_the_giver_s_and_no_more(
    replica: Replica, method: str
) -> None:
    admin = await replica.token(collections=["hr"])
    made = await replica.call(admin, method, **_named(method), scopes=["search"])
    text = made.key if method == "CreateApiKey" else made.token
    assert list((await replica.identity(text)).collections) == ["hr"]


async def test_nobody_gives_a_scope_that_they_do_not_have() -> None:
    """By the core itself, whatever the policy says of who may call it."""
    access = Access(None, None, None, issuer="", audience="", token_memory=0)  # type: ignore[arg-type]
    by = Principal("kim", "acme", frozenset({"search"}))
    with pytest.raises(errors.PermissionDenied) as raised:
        await access.create_key(by, "x", Grant(["search", "ingest"], [], 60))
    assert raised.value.metadata == {"required_scope": "ingest"}


@pytest.mark.parametrize("method", sorted(PUBLIC))
async def test_who_is_no_admin_manages_nothing(replica: Replica, method: str) -> None:
    name = method.rpartition("/")[2]
    token = await replica.token("search answer ingest")
    if name in ("GetIdentity", "GetQuota"):
        await replica.call(token, name)
    else:
        with pytest.raises(errors.PermissionDenied):
            await replica.call(token, name)


@pytest.mark.parametrize(
    ("method", "field", "fields"),
    [
        ("CreateApiKey", "display_name", {"scopes": ["search"]}),
        ("CreateApiKey", "display_name", {"display_name": "x" * 101, "scopes": ["search"]}),
        ("CreateApiKey", "scopes", {"display_name": "x"}),
        ("CreateApiKey", "scopes[0]", {"display_name": "x", "scopes": ["root"]}),
        ("CreateApiKey", "collections[0]",
         {"display_name": "x", "scopes": ["search"], "collections": ["../x"]}),
        ("CreateApiKey", "lifetime",
         {"display_name": "x", "scopes": ["search"], "lifetime": Duration(seconds=59)}),
        ("CreateApiKey", "lifetime",
         {"display_name": "x", "scopes": ["search"], "lifetime": Duration(seconds=367 * 86_400)}),
        ("IssueToken", "subject", {"scopes": ["search"]}),
        ("IssueToken", "lifetime",
         {"subject": "x", "scopes": ["search"], "lifetime": Duration(seconds=86_401)}),
        ("IssueToken", "lifetime",
         {"subject": "x", "scopes": ["search"], "lifetime": Duration(seconds=-60)}),
        ("RevokeApiKey", "api_key_id", {}),
        ("RevokeToken", "token_id", {}),
        ("ListApiKeys", "page_size", {"page_size": 1001}),
        ("ListApiKeys", "page_size", {"page_size": -1}),
    ],
)  # fmt: skip
async def test_a_field_that_does_not_fit_is_named(
    replica: Replica, method: str, field: str, fields: dict[str, Any]
) -> None:
    with pytest.raises(errors.InvalidArgument) as raised:
        await replica.call(await replica.token(), method, **fields)
    assert field in {violation.field for violation in raised.value.violations}


@pytest.mark.parametrize(
    ("method", "given", "expected"),
    [
        ("CreateApiKey", None, 90 * 86_400),
        ("CreateApiKey", 60, 60),
        ("IssueToken", None, 900),
        ("IssueToken", 86_400, 86_400),
    ],
)
async def test_a_credential_lives_as_long_as_was_said(
    replica: Replica, method: str, given: int | None, expected: int
) -> None:
    lifetime = {} if given is None else {"lifetime": Duration(seconds=given)}
    made = await replica.call(
        await replica.token(), method, **_named(method), scopes=["search"], **lifetime
    )
    expires = (made.api_key if method == "CreateApiKey" else made).expire_time.seconds
    assert expires - time.time() == pytest.approx(expected, abs=5)


async def test_a_repeat_makes_no_second_key_and_does_not_show_the_first_again(
    replica: Replica,
) -> None:
    admin = await replica.token()
    fields = {"display_name": "x", "scopes": ["search"], "request_id": "once"}
    await replica.call(admin, "CreateApiKey", **fields)
    with pytest.raises(errors.RequestIdReused):
        await replica.call(admin, "CreateApiKey", **fields)
    listed = await replica.call(admin, "ListApiKeys")
    assert len(listed.api_keys) == 1


async def test_a_repeat_issues_no_second_token(replica: Replica) -> None:
    admin = await replica.token()
    fields = {"subject": "kim", "scopes": ["search"], "request_id": "once"}
    await replica.call(admin, "IssueToken", **fields)
    with pytest.raises(errors.RequestIdReused):
        await replica.call(admin, "IssueToken", **fields)


async def test_who_the_caller_is_includes_its_roles(replica: Replica) -> None:
    found = await replica.identity(await replica.token("", roles=["editor", "unheard of"]))
    assert list(found.roles) == ["editor"]
    assert list(found.scopes) == ["answer", "ingest", "search"]
    assert not found.collections


async def test_the_quota_is_that_of_the_caller(replica: Replica) -> None:
    found = await replica.call(await replica.token("", "beta"), "GetQuota")
    assert found.quotas[0].limit == len("beta")


async def test_without_a_key_to_sign_with_no_token_is_issued(tmp_path: Path) -> None:
    opening = in_file(tmp_path / "credentials.sqlite")
    async with running(opening, tmp_path, signing=False) as replica:
        with pytest.raises(errors.NotConfigured):
            await replica.call(await replica.token(), "IssueToken", subject="x", scopes=["search"])


async def test_what_admins_do_is_on_record_and_no_secret_is(tmp_path: Path) -> None:
    with logged() as lines:
        async with running(in_file(tmp_path / "credentials.sqlite"), tmp_path) as replica:
            admin = await replica.token(jti="admin-1")
            made = await replica.call(admin, "CreateApiKey", display_name="x", scopes=["search"])
            issued = await replica.call(admin, "IssueToken", subject="lee", scopes=["search"])
            await replica.call(admin, "RevokeApiKey", api_key_id=made.api_key.api_key_id)
            await replica.call(admin, "RevokeToken", token_id=issued.token_id)
            with pytest.raises(errors.NotFound):
                await replica.call(admin, "RevokeApiKey", api_key_id="nobody")
    recorded = [line for line in map(json.loads, lines.getvalue().splitlines()) if "logger" in line]
    assert [(line["event"], line["outcome"], line["target"]) for line in recorded] == [
        ("api_key_created", "done", made.api_key.api_key_id),
        ("token_issued", "done", issued.token_id),
        ("api_key_revoked", "done", made.api_key.api_key_id),
        ("token_revoked", "done", issued.token_id),
        ("api_key_revoked", "refused", "nobody"),
    ]
    assert {line["credential"] for line in recorded} == {"admin-1"}
    for secret in (made.key, made.key[-40:], issued.token, admin):
        assert secret not in lines.getvalue()


def _named(method: str) -> dict[str, str]:
    return {"display_name": "x"} if method == "CreateApiKey" else {"subject": "lee"}


def _shipped() -> set[str]:
    return set(tomllib.loads(SHIPPED.read_text("utf-8"))["methods"])


async def _quota(principal: Principal) -> pb.GetQuotaResponse:
    return pb.GetQuotaResponse(quotas=[pb.Quota(limit=len(principal.tenant))])


async def _is_revoked(replica: Replica, token: str) -> bool:
    try:
        await replica.identity(token)
    except errors.KeyRevoked:
        return True
    return False
