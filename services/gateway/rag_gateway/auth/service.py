"""A tenant's API keys and tokens, managed by its admins, who can grant no more than they hold."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rag_common.context import Principal
from rag_contract import errors
from rag_gateway.auth import credentials
from rag_gateway.auth.credentials import ApiKey, Revocation
from rag_gateway.auth.policy import collections_for, holds

MAX_KEYS = 1_000
MAX_REVOKED_TOKENS = 10_000


class Signer(Protocol):
    """Signs the platform's own tokens. Raises Unavailable."""

    async def sign(self, claims: Mapping[str, Any]) -> str:
        """The claims as a signed JWT."""
        ...

    async def jwks(self, *, renew: bool = False) -> Mapping[str, Any]:
        """The JWKS that verifies the signatures; `renew` reads it again from its source."""
        ...


class CredentialStore(Protocol):
    """Stores API keys and revoked tokens. Each method raises Unavailable."""

    async def add(self, key: ApiKey, limit: int) -> None:
        """Store a new key. Raises ApiKeyLimit if the tenant has `limit` usable keys already.

        At most `limit` revoked and expired keys are retained, the newest ones.
        """
        ...

    async def page(
        self, tenant: str, size: int, after: tuple[float, str] | None
    ) -> Sequence[ApiKey]:
        """At most `size` of the tenant's keys, newest first; `after` is the last key's creation time and id."""
        ...

    async def revoke(self, tenant: str, key_id: str, now: float) -> ApiKey | None:
        """Revoke a key permanently and return it; None if the tenant has no key of that id."""
        ...

    async def refuse(self, tenant: str, revocation: Revocation, now: float, limit: int) -> None:
        """Store a revocation. Raises RevokedTokenLimit if the tenant has `limit` already."""
        ...


class RevocationSink(Protocol):
    """This replica's list of revoked credentials."""

    def add(self, revocation: Revocation) -> None:
        """Refuse the credential from now on."""
        ...


@dataclass(frozen=True, slots=True)
class Grant:
    """The requested rights of a new credential; empty `collections` means all that the grantor can access.

    `lifetime` is in seconds.
    """

    scopes: Sequence[str]
    collections: Sequence[str]
    lifetime: float


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A signed token, its id, and when it expires, in seconds of Unix time."""

    token: str
    token_id: str
    expires: float


class AccessService:
    """Manages credentials strictly within the caller's tenant.

    `max_token_lifetime` is the longest time, in seconds, that any accepted token can be valid.
    """

    def __init__(
        self,
        store: CredentialStore,
        revocations: RevocationSink,
        signer: Signer | None,
        *,
        issuer: str,
        audience: str,
        max_token_lifetime: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._revocations = revocations
        self._signer = signer
        self._issuer = issuer
        self._audience = audience
        self._max_token_lifetime = max_token_lifetime
        self._clock = clock

    async def create_key(self, by: Principal, name: str, grant: Grant) -> tuple[str, ApiKey]:
        """The text of the new key, which is not stored, and the stored key.

        Raises PermissionDenied, CollectionForbidden, ResourceExhausted, Unavailable.
        """
        collections = _granted_collections(by, grant)
        now = round(self._clock(), 3)
        generated = credentials.generate_api_key()
        key = ApiKey(
            key_id=generated.key_id,
            tenant=by.tenant,
            display_name=name,
            scopes=tuple(sorted(set(grant.scopes))),
            collections=collections,
            created_by=by.subject,
            created=now,
            expires=round(now + grant.lifetime, 3),
            digest=generated.digest,
        )
        await self._store.add(key, MAX_KEYS)
        return generated.text, key

    async def list_keys(self, by: Principal, size: int, token: str) -> tuple[Sequence[ApiKey], str]:
        """A page of the tenant's keys, newest first, and the next page's token, empty on the last page.

        Raises InvalidArgument, Unavailable.
        """
        keys = await self._store.page(
            by.tenant, size + 1, credentials.decode_cursor(token) if token else None
        )
        more = len(keys) > size
        return keys[:size], credentials.encode_cursor(keys[size - 1]) if more else ""

    async def revoke_key(self, by: Principal, key_id: str) -> ApiKey:
        """Revoke the key permanently, and return it. Raises NotFound, Unavailable."""
        key = await self._store.revoke(by.tenant, key_id, round(self._clock(), 3))
        if key is None:
            raise errors.KeyNotFound("there is no such API key")
        self._revocations.add(Revocation(credentials.key_name(key_id), key.expires))
        return key

    async def issue_token(self, by: Principal, subject: str, grant: Grant) -> IssuedToken:
        """Issue a token of the platform. Raises NotConfigured, PermissionDenied, Unavailable."""
        if self._signer is None:
            raise errors.NotConfigured("this deployment has no signing key for tokens")
        collections = _granted_collections(by, grant)
        now = int(self._clock())
        token_id, expires = secrets.token_hex(16), now + int(grant.lifetime)
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": subject,
            "tenant": by.tenant,
            "scope": " ".join(sorted(set(grant.scopes))),
            "iat": now,
            "exp": expires,
            "jti": token_id,
        }
        if collections is not None:
            claims["collections"] = list(collections)
        return IssuedToken(await self._signer.sign(claims), token_id, expires)

    async def revoke_token(self, by: Principal, token_id: str) -> None:
        """Revoke the tenant's token of that id, of any issuer, for as long as it can be valid.

        Raises ResourceExhausted, Unavailable.
        """
        now = self._clock()
        name = credentials.token_name(by.tenant, token_id)
        revocation = Revocation(name, now + self._max_token_lifetime)
        await self._store.refuse(by.tenant, revocation, now, MAX_REVOKED_TOKENS)
        self._revocations.add(revocation)


def _granted_collections(by: Principal, grant: Grant) -> tuple[str, ...] | None:
    """The granted collections; None for all. Raises PermissionDenied if `by` does not hold all rights."""
    for scope in grant.scopes:
        if not holds(by, scope):
            raise errors.ScopeMissing(
                f"cannot grant scope {scope}: you do not hold it",
                metadata={"required_scope": scope},
            )
    collections = collections_for(by, grant.collections)
    return None if collections is None else tuple(sorted(set(collections)))
