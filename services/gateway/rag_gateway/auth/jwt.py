"""Verifies bearer tokens: a JWT names its issuer, and is verified with that issuer's keys and rules."""

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from cachetools import TLRUCache
from joserfc.errors import ClaimError, ExpiredTokenError, MissingClaimError
from joserfc.jwt import JWTClaimsRegistry

from rag_common.context import Principal
from rag_common.jose import PublicKey, UnverifiedToken
from rag_contract import errors
from rag_gateway.auth.credentials import token_name
from rag_gateway.auth.issuers import Issuer, Issuers
from rag_gateway.auth.policy import AccessPolicy

_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

# A verified token is cached for this long, so a withdrawn signing key is accepted no longer than that.
# Revocations take effect at once.
_CACHE_SECONDS = 30.0
_CACHE_SIZE = 4096
# A longer token id could not be passed to RevokeToken.
_MAX_CHARACTERS = 128
_INVALID = "the signature or the format of the token is invalid"


class RevocationList(Protocol):
    """The revoked credentials, in memory."""

    def check(self, name: str) -> None:
        """Return if the name has not been revoked. Raises KeyRevoked, Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class _CachedToken:
    principal: Principal
    cached_until: float


class TokenVerifier:
    """Returns the principal of a token; its tenant comes from the token or from its issuer's rules.

    `on_lookup` is called with whether the token was cached.
    """

    def __init__(
        self,
        issuers: Issuers,
        policy: AccessPolicy,
        revoked: RevocationList,
        *,
        leeway: float,
        on_lookup: Callable[[bool], None] = lambda _hit: None,
    ) -> None:
        self._on_lookup = on_lookup
        self._issuers = issuers
        self._policy = policy
        self._revoked = revoked
        self._leeway = leeway
        self._cache: TLRUCache[bytes, _CachedToken] = TLRUCache(
            _CACHE_SIZE, ttu=lambda _digest, token, _now: token.cached_until, timer=time.time
        )

    async def principal(self, token: str) -> Principal:
        """The caller. Raises Unauthenticated, CollectionForbidden, Unavailable.

        A token without `jti` cannot be revoked: it is valid until it expires.
        """
        digest = hashlib.sha256(token.encode()).digest()
        cached = self._cache.get(digest)
        self._on_lookup(cached is not None)
        if cached is None:
            cached = self._cache[digest] = await self._verified(token)
        principal = cached.principal
        if principal.credential:
            self._revoked.check(token_name(principal.tenant, principal.credential))
        return principal

    async def _verified(self, text: str) -> _CachedToken:
        token, issuer = self._parsed(text)
        claims = self._claims(token, await issuer.keys.find(token.key_id), issuer)
        expires, issued = _time(claims, "exp"), _time(claims, "iat")
        if expires - issued > issuer.rules.max_lifetime:
            raise errors.TokenInvalid("the lifetime of the token exceeds the maximum of its issuer")
        cached_until = min(expires + self._leeway, time.time() + _CACHE_SECONDS)
        return _CachedToken(self._principal(claims, issuer), cached_until)

    def _parsed(self, text: str) -> tuple[UnverifiedToken, Issuer]:
        """The token and the issuer that it names. Neither is verified yet."""
        try:
            token = UnverifiedToken.parse(text)
        except ValueError as error:
            raise errors.TokenInvalid("the token is not a JWT") from error
        issuer = self._issuers.get(token.issuer) if isinstance(token.issuer, str) else None
        if issuer is None:
            raise errors.TokenInvalid("the issuer of the token is not trusted")
        return token, issuer

    def _claims(self, token: UnverifiedToken, key: PublicKey, issuer: Issuer) -> dict[str, Any]:
        """The verified claims. Raises TokenExpired, TokenInvalid."""
        try:
            claims = token.verify(key)
        except ValueError as error:
            raise errors.TokenInvalid(_INVALID) from error
        try:
            _claim_rules(issuer, self._leeway).validate(claims)
        except ExpiredTokenError as error:
            raise errors.TokenExpired("the token has expired") from error
        except ClaimError as error:
            raise errors.TokenInvalid(_reason(error, claims)) from error
        return claims

    def _principal(self, claims: Mapping[str, Any], issuer: Issuer) -> Principal:
        rules = issuer.rules
        granted = self._policy.grant(
            _string_set(claims, rules.scopes_claim, listed=rules.scopes_claim != "scope"),
            _string_set(claims, rules.roles_claim, listed=True),
            _string_set(claims, "collections", listed=True) if "collections" in claims else None,
        )
        return Principal(
            subject=_text(claims, "sub"),
            tenant=_tenant(claims, issuer),
            scopes=granted.scopes & rules.scopes,
            roles=granted.roles,
            collections=granted.collections,
            credential=_text(claims, "jti") if "jti" in claims else "",
            tier=_text(claims, rules.tier_claim) if rules.tier_claim in claims else "",
        )


def _claim_rules(issuer: Issuer, leeway: float) -> JWTClaimsRegistry:
    """The required claims, the values of `iss` and `aud`, and the times; `leeway` is in seconds."""
    return JWTClaimsRegistry(
        # Typed as whole seconds, but compared like any numbers.
        now=cast(Callable[[], int], time.time),
        leeway=cast(int, leeway),
        iss={"essential": True, "value": issuer.rules.issuer},
        aud={"essential": True, "value": issuer.rules.audience},
        sub={"essential": True},
        iat={"essential": True},
        exp={"essential": True},
    )


def _tenant(claims: Mapping[str, Any], issuer: Issuer) -> str:
    if issuer.rules.tenant:
        return issuer.rules.tenant
    tenant = _claim(claims, issuer.rules.tenant_claim)
    if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
        raise errors.TokenInvalid("missing or malformed tenant claim")
    if not issuer.speaks_for(tenant):
        raise errors.TokenInvalid("the issuer of the token may not issue tokens for this tenant")
    return tenant


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """The claim of that name, or the nested one at a dotted path such as `realm_access.roles`."""
    value: Any = claims
    for part in [name] if name in claims else name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _string_set(claims: Mapping[str, Any], name: str, *, listed: bool) -> frozenset[str]:
    """A claim's values: a space-separated string (RFC 8693), or a list if `listed` allows one."""
    value = _claim(claims, name)
    if value is None:
        return frozenset()
    if isinstance(value, str):
        return frozenset(value.split())
    if listed and isinstance(value, list) and all(isinstance(word, str) for word in value):
        return frozenset(value)
    raise errors.TokenInvalid(f"invalid claim {name} in the token")


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims[name]
    plain = isinstance(value, str) and value.isprintable() and bool(value.strip())
    if not plain or len(value) > _MAX_CHARACTERS:
        raise errors.TokenInvalid(f"invalid claim {name} in the token")
    return str(value)


def _time(claims: Mapping[str, Any], name: str) -> float:
    try:
        return float(claims[name])
    # An integer can be too large for a float.
    except OverflowError as error:
        raise errors.TokenInvalid(f"invalid claim {name} in the token") from error


def _reason(error: ClaimError, claims: Mapping[str, Any]) -> str:
    match error:
        case MissingClaimError():
            return "the token lacks a required claim"
        case ClaimError(claim="aud"):
            return "the token is for another audience"
        case ClaimError(claim="nbf" | "iat" as name) if isinstance(claims[name], int | float):
            return "the token is not valid yet"
        case _:
            return _INVALID
