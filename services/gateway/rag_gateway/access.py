"""Keys and tokens of a tenant: made, listed and ended by its admins, who can give no more than they hold."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rag_common import errors
from rag_common.context import Principal
from rag_gateway import credentials
from rag_gateway.credentials import ApiKey, Revocation
from rag_gateway.policy import collections_for, holds

MOST_KEYS = 1_000
MOST_REVOKED_TOKENS = 10_000


class Signer(Protocol):
    """Signs tokens in the platform's name. Raises Unavailable."""

    async def sign(self, claims: Mapping[str, Any]) -> str:
        """The claims as a JWT."""
        ...

    async def jwks(self, *, renew: bool = False) -> Mapping[str, Any]:
        """The public keys that the signatures are checked with; `renew` asks where they come from."""
        ...


class KeyStore(Protocol):
    """Where API keys are kept. Each method raises Unavailable."""

    async def add(self, key: ApiKey, most: int) -> None:
        """Keep a new key. Raises ResourceExhausted where the tenant has `most` already."""
        ...

    async def page(
        self, tenant: str, size: int, after: tuple[float, str] | None
    ) -> Sequence[ApiKey]:
        """The tenant's keys, newest first, from the one made at that time with that id."""
        ...

    async def revoke(self, tenant: str, key_id: str, now: float) -> ApiKey | None:
        """The key, revoked, for good; None where the tenant has none of that id."""
        ...


class TokenStore(Protocol):
    """Where it is kept which tokens are refused."""

    async def refuse(self, tenant: str, revocation: Revocation, now: float, most: int) -> None:
        """Raises ResourceExhausted where the tenant has `most` refused tokens alive, Unavailable."""
        ...


class Store(KeyStore, TokenStore, Protocol):
    """Both."""


class Known(Protocol):
    """What this replica knows to be revoked."""

    def add(self, revocation: Revocation) -> None:
        """Refuse it from this moment on."""
        ...


@dataclass(frozen=True, slots=True)
class Grant:
    """What a new credential is to give, as asked for; `collections` is empty for all the giver's.

    `lifetime` is in seconds.
    """

    scopes: Sequence[str]
    collections: Sequence[str]
    lifetime: float


@dataclass(frozen=True, slots=True)
class Issued:
    """A signed token, its id, and when it ends."""

    token: str
    token_id: str
    expires: float


class Access:
    """Works strictly inside the tenant of whoever asks; `token_memory` is how long a token can live."""

    def __init__(
        self,
        store: Store,
        known: Known,
        signer: Signer | None,
        *,
        issuer: str,
        audience: str,
        token_memory: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._known = known
        self._signer = signer
        self._issuer = issuer
        self._audience = audience
        self._token_memory = token_memory
        self._clock = clock

    async def create_key(self, by: Principal, name: str, grant: Grant) -> tuple[str, ApiKey]:
        """The key's text, which is kept nowhere, and what is kept of it.

        Raises PermissionDenied, CollectionForbidden, ResourceExhausted, Unavailable.
        """
        collections = _given(by, grant)
        now = round(self._clock(), 3)
        minted = credentials.mint()
        key = ApiKey(
            key_id=minted.key_id,
            tenant=by.tenant,
            display_name=name,
            scopes=tuple(sorted(set(grant.scopes))),
            collections=collections,
            created_by=by.subject,
            created=now,
            expires=round(now + grant.lifetime, 3),
            digest=minted.digest,
        )
        await self._store.add(key, MOST_KEYS)
        return minted.text, key

    async def list_keys(self, by: Principal, size: int, token: str) -> tuple[Sequence[ApiKey], str]:
        """A page of the tenant's keys, newest first, and the next page's token, empty on the last.

        Raises InvalidArgument, Unavailable.
        """
        found = await self._store.page(
            by.tenant, size + 1, credentials.place(token) if token else None
        )
        more = len(found) > size
        return found[:size], credentials.page_token(found[size - 1]) if more else ""

    async def revoke_key(self, by: Principal, key_id: str) -> ApiKey:
        """The key, ended for good. Raises NotFound, Unavailable."""
        key = await self._store.revoke(by.tenant, key_id, round(self._clock(), 3))
        if key is None:
            raise errors.KeyNotFound("there is no such API key")
        self._known.add(Revocation(credentials.key_name(key_id), key.expires))
        return key

    async def issue_token(self, by: Principal, subject: str, grant: Grant) -> Issued:
        """A token of the platform's own. Raises NotConfigured, PermissionDenied, Unavailable."""
        if self._signer is None:
            raise errors.NotConfigured("this deployment has no key to sign tokens with")
        collections = _given(by, grant)
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
        return Issued(await self._signer.sign(claims), token_id, expires)

    async def revoke_token(self, by: Principal, token_id: str) -> None:
        """Refuse the tenant's token of that id, whoever issued it, for as long as it can live.

        Raises ResourceExhausted, Unavailable.
        """
        now = self._clock()
        name = credentials.token_name(by.tenant, token_id)
        revocation = Revocation(name, now + self._token_memory)
        await self._store.refuse(by.tenant, revocation, now, MOST_REVOKED_TOKENS)
        self._known.add(revocation)


def _given(by: Principal, grant: Grant) -> tuple[str, ...] | None:
    """The collections given; None for all. Raises PermissionDenied where it is more than `by` holds."""
    for scope in grant.scopes:
        if not holds(by, scope):
            raise errors.PermissionDenied(
                f"the scope {scope} is not yours to give", metadata={"required_scope": scope}
            )
    collections = collections_for(by, grant.collections)
    return None if collections is None else tuple(sorted(set(collections)))
