"""Bearer tokens: a JWT signed with EdDSA or ES256, checked against the issuer's keys."""

import re
import time
from collections import OrderedDict
from typing import Any

import jwt

from rag_common import errors
from rag_common.context import Principal
from rag_gateway.adapters.keys import Keys
from rag_gateway.policy import authorize

_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

# A checked token is not checked again for this long, so a withdrawn key works no longer than that.
_REMEMBERED_SECONDS = 30.0
_REMEMBERED_TOKENS = 4096
_MOST_CHARACTERS = 8192


class TokenAuthenticator:
    """Says who is calling and whether they may; the tenant comes from the token and nowhere else."""

    def __init__(self, keys: Keys, *, issuer: str, audience: str, leeway: float) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._leeway = leeway
        self._known: OrderedDict[str, tuple[Principal, float]] = OrderedDict()

    async def __call__(self, method: str, metadata: dict[str, str]) -> Principal:
        """The caller of `method`. Raises Unauthenticated, PermissionDenied."""
        principal = await self._principal(_bearer(metadata))
        authorize(method, principal)
        return principal

    async def _principal(self, token: str) -> Principal:
        known = self._known.get(token)
        if known and time.time() < known[1]:
            return known[0]
        claims = await self._verified(token)
        principal = _principal(claims)
        self._remember(token, principal, float(claims["exp"]) + self._leeway)
        return principal

    async def _verified(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError as error:
            raise errors.Unauthenticated("the token is not a JWT") from error
        key, algorithm = await self._keys.find(str(header.get("kid", "")))
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self._issuer,
                audience=self._audience,
                leeway=self._leeway,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise errors.TokenExpired("the token has expired") from error
        except jwt.InvalidTokenError as error:
            raise errors.Unauthenticated(_why(error)) from error

    def _remember(self, token: str, principal: Principal, expires: float) -> None:
        self._known[token] = (principal, min(expires, time.time() + _REMEMBERED_SECONDS))
        self._known.move_to_end(token)
        if len(self._known) > _REMEMBERED_TOKENS:
            self._known.popitem(last=False)


def _bearer(metadata: dict[str, str]) -> str:
    scheme, _, token = metadata.get("authorization", "").partition(" ")
    if not token:
        raise errors.TokenMissing("send `authorization: Bearer <token>` with the call")
    if scheme.lower() != "bearer" or len(token) > _MOST_CHARACTERS:
        raise errors.Unauthenticated("the authorization is not a bearer token")
    return token.strip()


def _principal(claims: dict[str, Any]) -> Principal:
    tenant = claims.get("tenant")
    if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
        raise errors.Unauthenticated("the token names no tenant, or one that cannot be")
    scope = claims.get("scope", "")
    if not isinstance(scope, str):
        raise errors.Unauthenticated("the token's scope is not a text")
    return Principal(str(claims["sub"]), tenant, frozenset(scope.split()))


def _why(error: jwt.InvalidTokenError) -> str:
    match error:
        case jwt.InvalidAudienceError():
            return "the token is for another audience"
        case jwt.InvalidIssuerError():
            return "the token is from another issuer"
        case jwt.MissingRequiredClaimError():
            return "the token lacks a claim that it must have"
        case jwt.ImmatureSignatureError():
            return "the token is not valid yet"
        case _:
            return "the token's signature or form is wrong"
