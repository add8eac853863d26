"""Builds authentication and authorization from the settings: issuers, API keys, revocations, policy, audit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from google.protobuf import descriptor_pool

from rag_common.http.pages import Page, Pages
from rag_common.identity import ServiceIdentity
from rag_common.settings import SettingsInvalid
from rag_contract import errors
from rag_contract.hosts import is_loopback
from rag_gateway.auth.api_keys import ApiKeyVerifier
from rag_gateway.auth.audit import Audit, AuditLogFile
from rag_gateway.auth.authenticator import Authenticator
from rag_gateway.auth.issuers import Issuer, IssuerConfig, Issuers, build_issuers, read_issuers
from rag_gateway.auth.jwks import FileSigner, KeySet, Source, jwks_json, signed_by
from rag_gateway.auth.jwks_sources import jwks_document, require_safe
from rag_gateway.auth.jwt import TokenVerifier
from rag_gateway.auth.policy import AccessPolicy
from rag_gateway.auth.policy_file import DEFAULT_POLICY, read_policy
from rag_gateway.auth.revocations import RevocationCache
from rag_gateway.auth.service import AccessService, Signer
from rag_gateway.auth.stores.sqlite import SqliteCredentials
from rag_gateway.settings import Settings
from rag_gateway.telemetry.metrics import GatewayMetrics

# Imported when it is configured: the client of Redis takes 70 ms.
if TYPE_CHECKING:
    from redis.asyncio import Redis

    from rag_gateway.auth.stores.redis import RedisCredentials

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class AuthComponents:
    """The parts of authentication and authorization that other packages use."""

    authenticate: Authenticator
    access: AccessService
    audit: Audit
    issuers: Issuers
    revocations: RevocationCache
    own_keys: Source

    def pages(self) -> Pages:
        """The HTTP page of the public keys of the platform's own tokens, by which the edge verifies them."""

        async def jwks() -> Page:
            try:
                return Page(await jwks_json(self.own_keys))
            except (errors.Unavailable, OSError, ValueError):
                return Page(b"", status=503)

        return {"/.well-known/jwks.json": jwks}


async def build_auth(
    stack: AsyncExitStack,
    settings: Settings,
    trust: ServiceIdentity,
    redis: Redis | None,
    services: Iterable[str],
    metrics: GatewayMetrics,
) -> AuthComponents:
    """Build the parts for the methods of these gRPC services. Raises SettingsInvalid, Unavailable."""
    policy = _policy(settings, services)
    audit = _audit(stack, settings, metrics)
    signer = await _signer(settings, trust)
    issuers = _issuers(settings, signer)
    issuers.measure(metrics.jwks_age)
    await stack.enter_async_context(issuers.renewing(settings.jwks_max_age))
    store = await _store(stack, settings, redis)
    revocations = RevocationCache(store, stale=settings.revocations_stale)
    await stack.enter_async_context(revocations.refreshing(settings.credentials_refresh))
    keys = ApiKeyVerifier(
        store,
        revocations,
        stale=settings.credentials_stale,
        on_lookup=metrics.caches.of("api_keys"),
    )
    await stack.enter_async_context(keys.writing_uses())
    access = AccessService(
        store,
        revocations,
        signer,
        issuer=settings.issuer,
        audience=settings.audience,
        max_token_lifetime=issuers.longest_lifetime + settings.clock_leeway,
    )
    tokens = TokenVerifier(
        issuers,
        policy,
        revocations,
        leeway=settings.clock_leeway,
        on_lookup=metrics.caches.of("tokens"),
    )
    own_keys = signer.jwks if signer else _own_keys(settings, None)
    header = settings.address_header
    authenticator = Authenticator(tokens, keys, policy, audit, address_header=header)
    return AuthComponents(authenticator, access, audit, issuers, revocations, own_keys)


def _policy(settings: Settings, services: Iterable[str]) -> AccessPolicy:
    pool = descriptor_pool.Default()
    public = {
        f"/{name}/{method.name}"
        for name in services
        for method in pool.FindServiceByName(name).methods
    }
    return read_policy(settings.policy or DEFAULT_POLICY, public)


def _audit(stack: AsyncExitStack, settings: Settings, metrics: GatewayMetrics) -> Audit:
    path = settings.audit_file
    audit_file = stack.enter_context(AuditLogFile(path)).write if path else None

    def write(entry: Mapping[str, str | int]) -> None:
        metrics.audit_events.labels(entry["event"], entry["outcome"]).inc()
        if audit_file:
            audit_file(entry)

    audit = Audit(write)
    stack.callback(audit.close)
    return audit


async def _signer(settings: Settings, trust: ServiceIdentity) -> Signer | None:
    match settings.signer:
        case "vault":
            if not trust.vault:
                raise SettingsInvalid(
                    "GATEWAY_SIGNER is vault, and GATEWAY_VAULT_ADDRESS is not set"
                )
            return await trust.vault.signer(settings.signing_key_name)
        case "file":
            if not is_loopback(settings.host):
                raise SettingsInvalid(
                    "GATEWAY_SIGNER is file, a key for development, and GATEWAY_HOST is reachable from "
                    "other machines: set GATEWAY_SIGNER to vault, or to none if other issuers sign"
                )
            return await FileSigner.read(settings.signing_key)
        case _:
            return None


def _issuers(settings: Settings, signer: Signer | None) -> Issuers:
    rules = IssuerConfig(
        issuer=settings.issuer, audience=settings.audience, jwks="-", tenants=frozenset({"*"})
    )
    own = Issuer(rules, KeySet(settings.issuer, _own_keys(settings, signer)))
    others = read_issuers(settings.issuers) if settings.issuers else []
    return _validated(lambda: build_issuers(others, own=own))


def _own_keys(settings: Settings, signer: Signer | None) -> Source:
    """The source of the public keys of the platform's own tokens: Vault, or the configured JWKS."""
    if settings.signer == "vault" and signer:
        return signed_by(signer)
    if "://" in settings.jwks:
        _validated(lambda: require_safe(settings.jwks))
    return jwks_document(settings.jwks)


async def _store(
    stack: AsyncExitStack, settings: Settings, redis: Redis | None
) -> RedisCredentials | SqliteCredentials:
    if settings.credentials == "file":
        return await stack.enter_async_context(SqliteCredentials(settings.credentials_file))
    if redis is None:
        raise SettingsInvalid("GATEWAY_CREDENTIALS is redis, and GATEWAY_REDIS_URL is not set")
    from rag_gateway.auth.stores.redis import RedisCredentials

    return RedisCredentials(redis, settings.redis_prefix)


def _validated(read: Callable[[], Read]) -> Read:
    try:
        return read()
    except ValueError as error:
        raise SettingsInvalid(str(error)) from error
