"""Bearer tokens: a JWT chooses its issuer by name, and is then checked with that issuer's keys and rules."""

import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jwt

from rag_common import errors
from rag_common.context import Principal
from rag_gateway.adapters.issuers import Issuer, Issuers
from rag_gateway.credentials import token_name
from rag_gateway.policy import Policy

_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_REQUIRED = ("exp", "iat", "iss", "aud", "sub")

# A checked token is not checked again for this long, so a withdrawn key works no longer than that.
# Revocation does not wait for it.
_REMEMBERED_SECONDS = 30.0
_REMEMBERED_TOKENS = 4096
# What is longer could not be named to be revoked.
_MOST_CHARACTERS = 128


class RevocationList(Protocol):
    """What has been revoked, in memory."""

    def check(self, name: str) -> None:
        """Return where the name has not been revoked. Raises KeyRevoked, Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal
    until: float


class Tokens:
    """Says whom a token speaks for; the tenant comes from the token, or from its issuer's rules.

    `looked` is told whether a token was remembered.
    """

    def __init__(
        self,
        issuers: Issuers,
        policy: Policy,
        revoked: RevocationList,
        *,
        leeway: float,
        looked: Callable[[bool], None] = lambda _hit: None,
    ) -> None:
        self._looked = looked
        self._issuers = issuers
        self._policy = policy
        self._revoked = revoked
        self._leeway = leeway
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def principal(self, token: str) -> Principal:
        """The caller. Raises Unauthenticated, CollectionForbidden, Unavailable.

        A token without `jti` cannot be revoked by itself: it lives until it expires.
        """
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        hit = known is not None and time.time() < known.until
        self._looked(hit)
        if known is None or not hit:
            known = await self._verified(token)
            self._remember(digest, known)
        principal = known.principal
        if principal.credential:
            self._revoked.check(token_name(principal.tenant, principal.credential))
        return principal

    async def _verified(self, token: str) -> _Known:
        issuer, key_id = self._issuer(token)
        key, algorithm = await issuer.keys.find(key_id)
        claims = self._claims(token, key, algorithm, issuer)
        expires = float(claims["exp"])
        if expires - float(claims["iat"]) > issuer.rules.max_lifetime:
            raise errors.Unauthenticated("the token lives longer than its issuer may let it")
        until = min(expires + self._leeway, time.time() + _REMEMBERED_SECONDS)
        return _Known(self._principal(claims, issuer), until)

    def _issuer(self, token: str) -> tuple[Issuer, str]:
        """Whose token it says it is, and the id of the key: nothing of this is believed yet."""
        try:
            said = jwt.decode_complete(token, options={"verify_signature": False})
        except (jwt.InvalidTokenError, RecursionError) as error:
            raise errors.Unauthenticated("the token is not a JWT") from error
        name = said["payload"].get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise errors.Unauthenticated("the token is from another issuer")
        return issuer, str(said["header"].get("kid", ""))

    def _claims(self, token: str, key: Any, algorithm: str, issuer: Issuer) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=issuer.rules.issuer,
                audience=issuer.rules.audience,
                leeway=self._leeway,
                options={"require": list(_REQUIRED)},
            )
        except jwt.ExpiredSignatureError as error:
            raise errors.TokenExpired("the token has expired") from error
        except jwt.InvalidTokenError as error:
            raise errors.Unauthenticated(_why(error)) from error

    def _principal(self, claims: Mapping[str, Any], issuer: Issuer) -> Principal:
        rules = issuer.rules
        granted = self._policy.grant(
            _words(claims, rules.scopes_claim, listed=rules.scopes_claim != "scope"),
            _words(claims, rules.roles_claim, listed=True),
            _words(claims, "collections", listed=True) if "collections" in claims else None,
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

    def _remember(self, digest: bytes, known: _Known) -> None:
        self._known[digest] = known
        self._known.move_to_end(digest)
        if len(self._known) > _REMEMBERED_TOKENS:
            self._known.popitem(last=False)


def _tenant(claims: Mapping[str, Any], issuer: Issuer) -> str:
    if issuer.rules.tenant:
        return issuer.rules.tenant
    tenant = _claim(claims, issuer.rules.tenant_claim)
    if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
        raise errors.Unauthenticated("the token names no tenant, or one that cannot be")
    if not issuer.speaks_for(tenant):
        raise errors.Unauthenticated("the token's issuer does not speak for this tenant")
    return tenant


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """The claim of that name, or what lies at the end of a path with dots, as `realm_access.roles`."""
    found: Any = claims
    for part in [name] if name in claims else name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _words(claims: Mapping[str, Any], name: str, *, listed: bool) -> frozenset[str]:
    """A claim's words: a text with spaces (RFC 8693), or a list where that may be."""
    value = _claim(claims, name)
    if value is None:
        return frozenset()
    if isinstance(value, str):
        return frozenset(value.split())
    if listed and isinstance(value, list) and all(isinstance(word, str) for word in value):
        return frozenset(value)
    raise errors.Unauthenticated(f"the token's {name} is not what it must be")


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims[name]
    plain = isinstance(value, str) and value.isprintable() and bool(value.strip())
    if not plain or len(value) > _MOST_CHARACTERS:
        raise errors.Unauthenticated(f"the token's {name} is not what it must be")
    return str(value)


def _why(error: jwt.InvalidTokenError) -> str:
    match error:
        case jwt.InvalidAudienceError():
            return "the token is for another audience"
        case jwt.MissingRequiredClaimError():
            return "the token lacks a claim that it must have"
        case jwt.ImmatureSignatureError():
            return "the token is not valid yet"
        case _:
            return "the token's signature or form is wrong"
