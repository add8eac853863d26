"""Puts together who gets in: issuers of tokens, API keys, what is revoked, the policy and the audit."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf import descriptor_pool
from redis.asyncio import Redis

from rag_common import errors
from rag_common.pages import Page, Pages
from rag_common.settings import SettingsInvalid, is_loopback
from rag_common.trust import Trust
from rag_gateway.access import Access, Signer
from rag_gateway.adapters.apikeys import ApiKeys
from rag_gateway.adapters.bearer import Authenticator
from rag_gateway.adapters.credentials.redis import RedisCredentials
from rag_gateway.adapters.credentials.revoked import Revoked
from rag_gateway.adapters.credentials.sqlite import SqliteCredentials
from rag_gateway.adapters.documents import document, require_safe
from rag_gateway.adapters.issuers import Issuer, Issuers, Trusted, opened
from rag_gateway.adapters.issuers import load as load_issuers
from rag_gateway.adapters.journal import Journal
from rag_gateway.adapters.keys import FileSigner, KeySet, Source, jwks_json, signed_by
from rag_gateway.adapters.tokens import Tokens
from rag_gateway.audit import Audit
from rag_gateway.instruments import Instruments
from rag_gateway.policy import SHIPPED, Policy, load
from rag_gateway.settings import Settings

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Entrance:
    """The door, what it goes by, and the record of it."""

    authenticate: Authenticator
    access: Access
    audit: Audit
    issuers: Issuers
    revoked: Revoked
    signer: Signer | None

    def pages(self) -> Pages:
        """The public keys of this platform's own tokens, where it signs any."""
        signer = self.signer
        if signer is None:
            return {}

        async def jwks() -> Page:
            try:
                return Page(await jwks_json(signer))
            except errors.Unavailable:
                return Page(b"", status=503)

        return {"/.well-known/jwks.json": jwks}


async def entrance(
    stack: AsyncExitStack,
    settings: Settings,
    trust: Trust,
    redis: Redis | None,
    services: Iterable[str],
    instruments: Instruments,
) -> Entrance:
    """Open it for the methods of these services. Raises SettingsInvalid, Unavailable."""
    policy = _policy(settings, services)
    audit = _audit(stack, settings, instruments)
    signer = await _signer(settings, trust)
    issuers = _issuers(settings, signer)
    issuers.measure(instruments.jwks_age)
    await stack.enter_async_context(issuers.fresh(settings.jwks_max_age))
    store = await _store(stack, settings, redis)
    revoked = Revoked(store, stale=settings.revocations_stale)
    await stack.enter_async_context(revoked.following(settings.credentials_refresh))
    keys = ApiKeys(
        store,
        revoked,
        stale=settings.credentials_stale,
        looked=instruments.cache("api_keys"),
    )
    await stack.enter_async_context(keys.noting_uses())
    access = Access(
        store,
        revoked,
        signer,
        issuer=settings.issuer,
        audience=settings.audience,
        token_memory=issuers.longest_lifetime + settings.clock_leeway,
    )
    tokens = Tokens(
        issuers,
        policy,
        revoked,
        leeway=settings.clock_leeway,
        looked=instruments.cache("tokens"),
    )
    header = settings.address_header
    door = Authenticator(tokens, keys, policy, audit, address_header=header)
    return Entrance(door, access, audit, issuers, revoked, signer)


def _policy(settings: Settings, services: Iterable[str]) -> Policy:
    pool = descriptor_pool.Default()
    public = {
        f"/{name}/{method.name}"
        for name in services
        for method in pool.FindServiceByName(name).methods
    }
    return _fitting(lambda: load(settings.policy or SHIPPED, public))


def _audit(stack: AsyncExitStack, settings: Settings, instruments: Instruments) -> Audit:
    path = settings.audit_file
    journal = stack.enter_context(Journal(path)).write if path else None

    def write(entry: Mapping[str, str | int]) -> None:
        instruments.audit_events.labels(entry["event"], entry["outcome"]).inc()
        if journal:
            journal(entry)

    audit = Audit(write)
    stack.callback(audit.close)
    return audit


async def _signer(settings: Settings, trust: Trust) -> Signer | None:
    match settings.signer:
        case "vault":
            if not trust.vault:
                raise SettingsInvalid(
                    "GATEWAY_SIGNER is vault, and GATEWAY_VAULT_ADDRESS says none"
                )
            return await trust.vault.signer(settings.signing_key_name)
        case "file":
            if not is_loopback(settings.host):
                raise SettingsInvalid(
                    "GATEWAY_SIGNER is file, a key for development, and GATEWAY_HOST is open to other "
                    "machines: set GATEWAY_SIGNER to vault, or to none where other issuers sign"
                )
            return await FileSigner.read(settings.signing_key)
        case _:
            return None


def _issuers(settings: Settings, signer: Signer | None) -> Issuers:
    rules = Trusted(
        issuer=settings.issuer, audience=settings.audience, jwks="-", tenants=frozenset({"*"})
    )
    own = Issuer(rules, KeySet(settings.issuer, _own_keys(settings, signer)))
    path = settings.issuers
    others = _fitting(lambda: load_issuers(path)) if path else []
    return _fitting(lambda: opened(others, own=own))


def _own_keys(settings: Settings, signer: Signer | None) -> Source:
    """Where the public keys of our own tokens are: with whoever signs them, or where it is said."""
    if settings.signer == "vault" and signer:
        return signed_by(signer)
    if "://" in settings.jwks:
        _fitting(lambda: require_safe(settings.jwks))
    return document(settings.jwks)


async def _store(
    stack: AsyncExitStack, settings: Settings, redis: Redis | None
) -> RedisCredentials | SqliteCredentials:
    if settings.credentials == "file":
        return await stack.enter_async_context(SqliteCredentials(settings.credentials_file))
    if redis is None:
        raise SettingsInvalid("GATEWAY_CREDENTIALS is redis, and GATEWAY_REDIS_URL says none")
    return RedisCredentials(redis, settings.redis_prefix)


def _fitting(read: Callable[[], Read]) -> Read:
    try:
        return read()
    except (ValueError, OSError) as error:
        raise SettingsInvalid(str(error)) from error
