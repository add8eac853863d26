"""The access service's calls, for threads and scripts."""

from collections.abc import Iterator, Sequence
from typing import Unpack

from rag.gateway.v1 import access_service_pb2 as wire
from rag_client import procedures
from rag_client.access import messages, results
from rag_client.options import CallOptions, GrantOptions, PageOptions
from rag_client.threads import BlockingCalls


class Access:
    """What a client can ask about its caller, and about the keys and tokens of its tenant."""

    _calls: BlockingCalls

    def identity(self, **options: Unpack[CallOptions]) -> results.Identity:
        """Says who the caller is and what it may do."""
        request = wire.GetIdentityRequest()
        return messages.identity(self._calls.unary(procedures.GET_IDENTITY, request, options))

    def quota(self, **options: Unpack[CallOptions]) -> results.Quotas:
        """Says what is left of each limit that the caller is under."""
        request = wire.GetQuotaRequest()
        return messages.quotas(self._calls.unary(procedures.GET_QUOTA, request, options))

    def create_api_key(
        self, display_name: str, scopes: Sequence[str], **options: Unpack[GrantOptions]
    ) -> results.CreatedApiKey:
        """Makes an API key; its text is in this reply and nowhere else. Never tried again.

        Scopes and collections are the caller's own or fewer. It lives 90 days where nothing is said.
        """
        request = messages.create_api_key(display_name, scopes, options)
        reply = self._calls.unary(procedures.CREATE_API_KEY, request, options)
        return messages.created_api_key(reply)

    def api_keys(self, **options: Unpack[PageOptions]) -> Iterator[results.ApiKey]:
        """Every key of the tenant, newest first, revoked ones too; the timeout is that of one page."""
        token = ""
        while True:
            request = messages.list_api_keys(token, options)
            reply = self._calls.unary(procedures.LIST_API_KEYS, request, options)
            yield from map(messages.api_key, reply.api_keys)
            token = reply.next_page_token
            if not token:
                return

    def revoke_api_key(self, api_key_id: str, **options: Unpack[CallOptions]) -> results.ApiKey:
        """Ends an API key at once, for good; one that is revoked already stays as it is."""
        request = wire.RevokeApiKeyRequest(api_key_id=api_key_id)
        reply = self._calls.unary(procedures.REVOKE_API_KEY, request, options)
        return messages.api_key(reply.api_key)

    def issue_token(
        self, subject: str, scopes: Sequence[str], **options: Unpack[GrantOptions]
    ) -> results.IssuedToken:
        """Signs a token with the platform's key, for 15 minutes where nothing is said.

        Scopes and collections are the caller's own or fewer. Never tried again.
        """
        request = messages.issue_token(subject, scopes, options)
        reply = self._calls.unary(procedures.ISSUE_TOKEN, request, options)
        return messages.issued_token(reply)

    def revoke_token(self, token_id: str, **options: Unpack[CallOptions]) -> None:
        """Refuses a token of the tenant's from now on, by its id (the claim `jti`)."""
        request = wire.RevokeTokenRequest(token_id=token_id)
        self._calls.unary(procedures.REVOKE_TOKEN, request, options)
