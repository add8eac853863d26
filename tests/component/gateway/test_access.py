"""AccessService on a real server: keys and tokens made, used, listed and ended, inside one tenant."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from rag.gateway.v1 import access_service_pb2 as pb
from rag.gateway.v1 import answer_service_pb2, document_service_pb2
from rag.gateway.v1.access_service_pb2_grpc import (
    AccessServiceStub,
    add_AccessServiceServicer_to_server,
)
from rag_common.context import Principal
from rag_common.grpc.bootstrap import Service, serving
from rag_common.grpc.ports import ServerSecurity
from rag_common.observability.setup import Telemetry
from rag_contract import errors
from rag_contract.status import from_rpc_error
from rag_gateway.api.access import AccessServicer
from rag_gateway.api.guard import RequestGuard
from rag_gateway.auth.jwks import FileSigner
from rag_gateway.auth.policy import SCOPES
from rag_gateway.auth.service import AccessService, Grant
from rag_gateway.auth.wiring import build_auth
from rag_gateway.idempotency.memory import LocalIdempotencyStore
from rag_gateway.idempotency.service import Idempotency
from rag_gateway.quotas.config import read
from rag_gateway.quotas.memory import LocalBuckets
from rag_gateway.quotas.service import Quotas
from rag_gateway.redis.connection import connected
from rag_gateway.settings import Settings
from rag_gateway.telemetry.metrics import GatewayMetrics
from rag_local.dev_keys import ensure
from tests.support.recording import Recorded
from tests.support.redis import RedisServer, redis_server
from tests.support.rpc import Settings as ServerSettings
from tests.support.rpc import logged
from tests.support.waiting import until

ACCESS = pb.DESCRIPTOR.services_by_name["AccessService"]
SERVICES = [
    service.full_name
    for file in (pb, answer_service_pb2, document_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
]


@dataclass(frozen=True, slots=True)
class Replica:
    """A gateway that has this service alone, and a channel to it."""

    channel: grpc.aio.Channel
    signer: FileSigner
    settings: Settings

    async def token(self, scope: str = "admin", tenant: str = "acme", **claims: Any) -> str:
        """A token of the platform's own issuer."""
        now = int(time.time())
        issuer = {"iss": self.settings.issuer, "aud": self.settings.audience}
        caller = {"sub": "kim", "tenant": tenant, "scope": scope}
        times = {"iat": now, "exp": now + 600}
        return await self.signer.sign({**issuer, **caller, **times, **claims})

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
        identity: pb.GetIdentityResponse = await self.call(token, "GetIdentity")
        return identity

    async def create(self, by: str, method: str = "CreateApiKey", **fields: Any) -> "Credential":
        """A new API key or token for searches."""
        named = {"display_name": "x"} if method == "CreateApiKey" else {"subject": "lee"}
        response = await self.call(by, method, **{"scopes": ["search"], **named, **fields})
        if method == "CreateApiKey":
            key = response.api_key
            return Credential(response.key, key.api_key_id, key.expire_time.seconds)
        return Credential(response.token, response.token_id, response.expire_time.seconds)

    async def is_revoked(self, text: str) -> bool:
        """Whether the credential is."""
        try:
            await self.identity(text)
        except errors.KeyRevoked:
            return True
        return False


@dataclass(frozen=True, slots=True)
class Credential:
    """An API key or a token; `expires` is in seconds since 1970."""

    text: str
    id: str
    expires: int


either = pytest.mark.parametrize("method", ["CreateApiKey", "IssueToken"])


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
async def replica(tmp_path: Path) -> AsyncIterator[Replica]:
    async with running(tmp_path) as replica:
        yield replica


@pytest.fixture(params=["file", "redis"])
async def replicas(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two gateways with one store."""
    redis = request.getfixturevalue("redis") if request.param == "redis" else None
    async with running(tmp_path, redis) as one, running(tmp_path, redis) as other:
        yield one, other


@asynccontextmanager
async def running(
    folder: Path, redis: RedisServer | None = None, **settings: Any
) -> AsyncIterator[Replica]:
    """One gateway with the access service alone."""
    key = ensure(folder / "keys")
    inputs = Settings(
        signing_key=key,
        jwks=str(key.with_name("jwks.json")),
        credentials="redis" if redis else "file",
        credentials_file=folder / "credentials.sqlite",
        credentials_refresh=0.1,
        redis_prefix=f"{folder.name}:",
        **settings,
    )
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(connected(redis.url)) if redis else None
        metrics = GatewayMetrics(Recorded().metrics)
        auth = await build_auth(stack, inputs, None, client, SERVICES, metrics)  # type: ignore[arg-type]
        quotas = Quotas(read(), LocalBuckets())
        idempotency = Idempotency(LocalIdempotencyStore())
        guard = RequestGuard(ACCESS.full_name, auth.audit, quotas, idempotency)
        servicer = AccessServicer(auth.access, guard, quotas.status)
        service = Service(ACCESS.full_name, add_AccessServiceServicer_to_server, servicer)
        security = ServerSecurity(auth.authenticate)
        ports = await stack.enter_async_context(
            serving([service], ServerSettings(), Telemetry(), security=security)
        )
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{ports.grpc}")
        await stack.enter_async_context(channel)
        yield Replica(channel, await FileSigner.read(key), inputs)


@pytest.mark.parametrize(
    ("method", "revoke", "field", "subject"),
    [
        ("CreateApiKey", "RevokeApiKey", "api_key_id", "key:{id}"),
        ("IssueToken", "RevokeToken", "token_id", "lee"),
    ],
)
async def test_a_credential_is_created_used_and_revoked_in_every_replica(
    replicas: tuple[Replica, Replica], method: str, revoke: str, field: str, subject: str
) -> None:
    replica, other = replicas
    admin = await replica.token()
    created = await replica.create(admin, method, scopes=["search", "answer"], collections=["hr"])
    for each in replicas:
        identity = await each.identity(created.text)
        assert (identity.subject, identity.tenant) == (subject.format(id=created.id), "acme")
        assert list(identity.scopes) == ["answer", "search"]
        assert list(identity.collections) == ["hr"]
        assert identity.credential_id == created.id
    await replica.call(admin, revoke, **{field: created.id})
    assert await replica.is_revoked(created.text)
    await until(lambda: other.is_revoked(created.text), "the other replica read of it")


async def test_a_revocation_does_not_reach_into_another_tenant(replica: Replica) -> None:
    theirs = await replica.token("search", "beta", jti="t-1")
    await replica.call(await replica.token(), "RevokeToken", token_id="t-1")
    assert (await replica.identity(theirs)).tenant == "beta"


async def test_another_tenant_s_keys_are_neither_listed_nor_revoked(replica: Replica) -> None:
    key = await replica.create(await replica.token())
    stranger = await replica.token(tenant="beta")
    assert not (await replica.call(stranger, "ListApiKeys")).api_keys
    messages = set()
    for key_id in (key.id, "a" * 16):
        with pytest.raises(errors.NotFound) as raised:
            await replica.call(stranger, "RevokeApiKey", api_key_id=key_id)
        messages.add(raised.value.message)
    assert len(messages) == 1
    await replica.identity(key.text)


async def test_keys_are_listed_page_by_page_and_without_their_secrets(replica: Replica) -> None:
    admin = await replica.token()
    keys = [await replica.create(admin, display_name=str(number)) for number in range(5)]
    names, token = [], ""
    while True:
        page = await replica.call(admin, "ListApiKeys", page_size=2, page_token=token)
        names += [key.display_name for key in page.api_keys]
        assert not any(key.text[-40:] in str(page) for key in keys)
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


async def test_last_uses_and_revocations_survive_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as replica:
        admin = await replica.token()
        used, revoked = await replica.create(admin), await replica.create(admin)
        keys = (await replica.call(admin, "ListApiKeys")).api_keys
        assert [key.HasField("last_use_time") for key in keys] == [False, False]
        await replica.identity(used.text)
        await replica.call(admin, "RevokeApiKey", api_key_id=revoked.id)
    async with running(tmp_path) as replica:
        keys = (await replica.call(admin, "ListApiKeys")).api_keys
        assert {key.api_key_id for key in keys if key.HasField("last_use_time")} == {used.id}
        assert {key.api_key_id for key in keys if key.HasField("revoke_time")} == {revoked.id}
        assert await replica.is_revoked(revoked.text)


@either
async def test_a_credential_has_no_collection_that_its_creator_does_not_have(
    replica: Replica, method: str
) -> None:
    admin = await replica.token(collections=["hr"])
    for collections in (["law"], ["hr", "law"]):
        with pytest.raises(errors.CollectionForbidden):
            await replica.create(admin, method, collections=collections)
    created = await replica.create(admin, method)
    assert list((await replica.identity(created.text)).collections) == ["hr"]


async def test_nobody_gives_a_scope_that_they_do_not_have() -> None:
    """By the core itself, whatever the policy says of who may call it."""
    access = AccessService(None, None, None, issuer="", audience="", max_token_lifetime=0)  # type: ignore[arg-type]
    by = Principal("kim", "acme", frozenset({"search"}))
    with pytest.raises(errors.PermissionDenied) as raised:
        await access.create_key(by, "x", Grant(["search", "ingest"], [], 60))
    assert raised.value.metadata == {"required_scope": "ingest"}
    assert raised.value.message == "cannot grant scope ingest: you do not hold it"


# tests/unit/gateway/test_limits.py tests each field's limit, whatever number that is.
@pytest.mark.parametrize(
    ("method", "field", "fields"),
    [
        ("CreateApiKey", "scopes[0]", {"display_name": "x", "scopes": ["root"]}),
        (
            "CreateApiKey",
            "lifetime",
            {"display_name": "x", "scopes": ["search"], "lifetime": {"seconds": 366 * 86_400 + 1}},
        ),
        ("IssueToken", "subject", {"scopes": ["search"]}),
        (
            "IssueToken",
            "lifetime",
            {"subject": "x", "scopes": ["search"], "lifetime": {"seconds": 86_401}},
        ),
        ("IssueToken", "scopes[0]", {"subject": "x", "scopes": ["root"]}),
        ("RevokeApiKey", "api_key_id", {}),
        ("RevokeToken", "token_id", {}),
        ("ListApiKeys", "page_size", {"page_size": 1001}),
    ],
)
async def test_an_invalid_field_is_named(
    replica: Replica, method: str, field: str, fields: dict[str, Any]
) -> None:
    with pytest.raises(errors.InvalidArgument) as raised:
        await replica.call(await replica.token(), method, **fields)
    [violation] = [one for one in raised.value.violations if one.field == field]
    if field.startswith("scopes"):
        assert all(scope in violation.description for scope in SCOPES)


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
    created = await replica.create(await replica.token(), method, **lifetime)
    assert created.expires - time.time() == pytest.approx(expected, abs=5)


@either
async def test_a_repeat_creates_no_second_credential_and_does_not_show_the_first_again(
    replica: Replica, method: str
) -> None:
    admin = await replica.token()
    await replica.create(admin, method, request_id="once")
    with pytest.raises(errors.RequestIdReused):
        await replica.create(admin, method, request_id="once")
    listed = await replica.call(admin, "ListApiKeys")
    assert len(listed.api_keys) == (method == "CreateApiKey")


async def test_who_the_caller_is_includes_its_roles(replica: Replica) -> None:
    identity = await replica.identity(await replica.token("", roles=["editor", "unheard of"]))
    assert list(identity.roles) == ["editor"]
    assert list(identity.scopes) == ["answer", "ingest", "search"]
    assert not identity.collections


async def test_a_quota_has_its_subject_unit_and_limit(replica: Replica) -> None:
    reply = await replica.call(await replica.token("", "beta"), "GetQuota")
    first = reply.quotas[0]
    assert (first.subject, first.unit) == (pb.Quota.SUBJECT_TENANT, pb.Quota.UNIT_REQUESTS)
    assert first.limit == read().tier_for("beta", "").tenant.requests.capacity


async def test_without_a_key_to_sign_with_no_token_is_issued(tmp_path: Path) -> None:
    async with running(tmp_path, signer="none") as replica:
        with pytest.raises(errors.NotConfigured):
            await replica.create(await replica.token(), "IssueToken")


async def test_what_admins_do_is_on_record_and_no_secret_is(tmp_path: Path) -> None:
    with logged() as lines:
        async with running(tmp_path) as replica:
            admin = await replica.token(jti="admin-1")
            key = await replica.create(admin)
            token = await replica.create(admin, "IssueToken")
            await replica.call(admin, "RevokeApiKey", api_key_id=key.id)
            await replica.call(admin, "RevokeToken", token_id=token.id)
            with pytest.raises(errors.NotFound):
                await replica.call(admin, "RevokeApiKey", api_key_id="nobody")
    recorded = [line for line in map(json.loads, lines.getvalue().splitlines()) if "logger" in line]
    assert [(line["event"], line["outcome"], line["target"]) for line in recorded] == [
        ("api_key_created", "done", key.id),
        ("token_issued", "done", token.id),
        ("api_key_revoked", "done", key.id),
        ("token_revoked", "done", token.id),
        ("api_key_revoked", "refused", "nobody"),
    ]
    assert {line["credential"] for line in recorded} == {"admin-1"}
    for secret in (key.text, key.text[-40:], token.text, admin):
        assert secret not in lines.getvalue()
