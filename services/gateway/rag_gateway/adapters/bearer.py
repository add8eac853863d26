"""The door: `authorization: Bearer <token or API key>`, who that is, and whether they may come in."""

from typing import Protocol

from rag_common import errors
from rag_common.context import Principal
from rag_gateway.audit import ADDRESS, Audit
from rag_gateway.credentials import PREFIX
from rag_gateway.policy import Policy

_MOST_CHARACTERS = 8192


class Verify(Protocol):
    """Says whom one kind of credential speaks for."""

    async def principal(self, text: str) -> Principal:
        """Raises Unauthenticated, PermissionDenied, Unavailable."""
        ...


class Authenticator:
    """Says who is calling and whether they may, and puts each refusal into the audit log.

    `address_header` is the header in which the proxy in front says where the caller is; empty where
    there is no such proxy, for callers could write it themselves.
    """

    def __init__(
        self,
        tokens: Verify,
        keys: Verify,
        policy: Policy,
        audit: Audit,
        *,
        address_header: str = "",
    ) -> None:
        self._tokens = tokens
        self._keys = keys
        self._policy = policy
        self._audit = audit
        self._address_header = address_header.lower()

    async def __call__(self, method: str, metadata: dict[str, str]) -> Principal:
        """The caller of `method`. Raises Unauthenticated, PermissionDenied, Unavailable."""
        ADDRESS.set(metadata.get(self._address_header, "")[:64])
        with self._audit.admitting(method):
            text = _bearer(metadata)
            verify = self._keys if text.startswith(PREFIX) else self._tokens
            principal = await verify.principal(text)
        with self._audit.authorising(method, principal):
            self._policy.authorize(method, principal)
        return principal


def _bearer(metadata: dict[str, str]) -> str:
    scheme, _, text = metadata.get("authorization", "").partition(" ")
    if not text:
        raise errors.TokenMissing("send `authorization: Bearer <token>` with the call")
    if scheme.lower() != "bearer" or len(text) > _MOST_CHARACTERS:
        raise errors.Unauthenticated("the authorization is not a bearer token")
    return text.strip()
