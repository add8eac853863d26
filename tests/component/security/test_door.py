"""Who gets in and how much they may use, against those who try to confuse or to exhaust the door."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rag.edge.v1 import rate_limit_pb2 as pb
from rag_common.context import Principal
from rag_contract import errors
from rag_gateway.api.rate_limit import RateLimitServicer
from rag_gateway.auth.api_keys import ApiKeyVerifier
from rag_gateway.auth.credentials import ApiKey, generate_api_key
from rag_gateway.auth.issuers import Issuer as Trust
from rag_gateway.auth.issuers import IssuerConfig, Issuers
from rag_gateway.auth.jwks import KeySet
from rag_gateway.auth.jwt import TokenVerifier
from rag_gateway.auth.policy import AccessPolicy
from rag_gateway.auth.revocations import RevocationCache
from rag_gateway.auth.stores.sqlite import SqliteCredentials
from rag_gateway.idempotency.memory import LocalIdempotencyStore
from rag_gateway.idempotency.service import Key, State
from rag_gateway.leases import Lease
from rag_gateway.quotas.memory import LocalBuckets
from rag_gateway.quotas.tiers import Rate
from tests.support.gateway.issuer import Issuer
from tests.support.rpc import served

POLICY = AccessPolicy({}, {})


class Clock:
    """Time that a test moves on."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


async def test_the_tier_that_a_token_names_is_its_tenants_tier(tmp_path: Path) -> None:
    issuer = Issuer()
    rules = IssuerConfig(issuer=issuer.name, audience="rag", jwks="-", tenants=frozenset({"*"}))

    async def source() -> Mapping[str, Any]:
        return {"keys": [issuer.jwk]}

    async with SqliteCredentials(tmp_path / "credentials.sqlite") as store:
        revoked = RevocationCache(store, stale=900)
        await revoked.refresh()
        trust = Trust(rules, KeySet(issuer.name, source))
        tokens = TokenVerifier(Issuers([trust]), POLICY, revoked, leeway=30)
        result = await tokens.principal(issuer.token(tier="trial"))
    assert result.tier == "trial"


async def test_a_call_with_two_authorizations_is_let_in_by_neither() -> None:
    """What checks before us may have looked at the other one."""

    async def authenticate(_method: str, metadata: dict[str, str]) -> Principal:
        if "authorization" not in metadata:
            raise errors.TokenMissing("there is none")
        return Principal(metadata["authorization"], "acme", frozenset())

    async with served(authenticate=authenticate) as running:
        two = (("authorization", "Bearer one"), ("authorization", "Bearer two"))
        failure = await running.failure(metadata=two)
    assert isinstance(failure, errors.Unauthenticated)


async def test_callers_with_an_unknown_key_wait_for_one_reading_and_not_for_each_others() -> None:
    readings, now = 0, 0.0

    async def source() -> Mapping[str, Any]:
        nonlocal readings, now
        readings += 1
        await asyncio.sleep(0)
        now += 5.0  # As long as a URL that does not answer takes.
        raise OSError

    keys = KeySet("issuer", source, clock=lambda: now)
    finding = [keys.find("unknown") for _ in range(20)]
    result = await asyncio.gather(*finding, return_exceptions=True)
    assert {type(one) for one in result} == {errors.DependencyDown}
    assert readings == 1


async def test_a_real_key_is_let_in_while_somebody_tries_made_up_ones(tmp_path: Path) -> None:
    clock, minted = Clock(), generate_api_key()
    async with SqliteCredentials(tmp_path / "credentials.sqlite") as store:
        key = ApiKey(
            key_id=minted.key_id,
            tenant="acme",
            display_name="nightly",
            scopes=("search",),
            collections=None,
            created_by="kim",
            created=round(clock.now, 3),
            expires=round(clock.now + 3600, 3),
            digest=minted.digest,
        )
        await store.add(key, 10)
        revoked = RevocationCache(store, stale=900)
        await revoked.refresh()
        keys = ApiKeyVerifier(store, revoked, clock=clock)
        tried = [keys.principal(generate_api_key().text) for _ in range(300)]
        await asyncio.gather(*tried, return_exceptions=True)
        assert (await keys.principal(minted.text)).tenant == "acme"


async def test_no_tenant_makes_another_ones_running_call_be_forgotten() -> None:
    replies, key = LocalIdempotencyStore(), Key("acme", "/method", "one")
    await replies.claim(key, "same", Lease("first", 30))
    for n in range(5_000):
        other, lease = Key("other", "/method", str(n)), Lease(f"other-{n}", 30)
        await replies.claim(other, "same", lease)
        await replies.finish(other, "same", lease, b"reply")
    assert (await replies.claim(key, "same", Lease("repeat", 30))).state is State.RUNNING


async def test_an_endless_list_of_descriptors_is_not_counted_one_by_one() -> None:
    limiter = RateLimitServicer({"tenant": Rate(10, 1.0)}, LocalBuckets())
    entry = pb.RateLimitDescriptor.Entry(key="tenant", value="acme")
    request = pb.RateLimitRequest(descriptors=[pb.RateLimitDescriptor(entries=[entry])] * 1_000)
    context: Any = None
    with pytest.raises(errors.InvalidArgument):
        await limiter.ShouldRateLimit(request, context)
