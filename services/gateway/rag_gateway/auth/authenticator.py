"""Authenticates `authorization: Bearer <token or API key>`, and authorizes the method."""

from typing import Protocol

from rag_common.context import Principal
from rag_contract import errors
from rag_gateway.auth.audit import ADDRESS, Audit
from rag_gateway.auth.credentials import PREFIX
from rag_gateway.auth.policy import AccessPolicy

_MAX_CHARACTERS = 8192


class CredentialVerifier(Protocol):
    """Verifies one kind of credential."""

    async def principal(self, text: str) -> Principal:
        """The caller. Raises Unauthenticated, PermissionDenied, Unavailable."""
        ...


class Authenticator:
    """Authenticates and authorizes callers, and writes each refusal to the audit log.

    `address_header` is the header in which the proxy in front passes the caller's address; empty if there
    is no such proxy, as callers could then set it themselves.
    """

    def __init__(
        self,
        tokens: CredentialVerifier,
        keys: CredentialVerifier,
        policy: AccessPolicy,
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
        try:
            text = _bearer(metadata)
            verifier = self._keys if text.startswith(PREFIX) else self._tokens
            principal = await verifier.principal(text)
        except (errors.Unauthenticated, errors.PermissionDenied) as error:
            self._audit.authentication_refused(method, error)
            raise
        try:
            self._policy.authorize(method, principal)
        except errors.PermissionDenied as error:
            self._audit.authorisation_refused(error, method, principal)
            raise
        return principal


def _bearer(metadata: dict[str, str]) -> str:
    scheme, _, text = metadata.get("authorization", "").partition(" ")
    if not text:
        raise errors.TokenMissing("send `authorization: Bearer <token>` with the call")
    if scheme.lower() != "bearer" or len(text) > _MAX_CHARACTERS:
        raise errors.TokenInvalid("the authorization header is not a bearer token")
    return text.strip()
