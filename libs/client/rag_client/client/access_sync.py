"""The access service's calls, for threads and scripts."""

from collections.abc import Iterator, Sequence
from typing import Unpack

from rag.gateway.v1 import access_service_pb2 as wire
from rag_client.convert import access as convert
from rag_client.models import access as models
from rag_client.models.options import CallOptions, GrantOptions, PageOptions
from rag_client.transport import methods
from rag_client.transport.sync import BlockingCalls


class Access:
    """The caller's identity and quotas, and the API keys and tokens of its tenant."""

    _calls: BlockingCalls

    def identity(self, **options: Unpack[CallOptions]) -> models.Identity:
        """Who the caller is and what it is allowed to do."""
        request = wire.GetIdentityRequest()
        return convert.identity(self._calls.unary(methods.GET_IDENTITY, request, options))

    def quota(self, **options: Unpack[CallOptions]) -> models.Quotas:
        """The remaining amount of each of the caller's limits."""
        request = wire.GetQuotaRequest()
        return convert.quotas(self._calls.unary(methods.GET_QUOTA, request, options))

    def create_api_key(
        self, display_name: str, scopes: Sequence[str], **options: Unpack[GrantOptions]
    ) -> models.CreatedApiKey:
        """Create an API key. Its secret is in this result only. The call is never retried.

        Scopes and collections must be among the caller's own. The default lifetime is 90 days.
        """
        request = convert.create_api_key(display_name, scopes, options)
        reply = self._calls.unary(methods.CREATE_API_KEY, request, options)
        return convert.created_api_key(reply)

    def api_keys(self, **options: Unpack[PageOptions]) -> Iterator[models.ApiKey]:
        """All keys of the tenant, newest first, revoked ones too; the timeout applies to each page."""
        token = ""
        while True:
            request = convert.list_api_keys(token, options)
            reply = self._calls.unary(methods.LIST_API_KEYS, request, options)
            yield from map(convert.api_key, reply.api_keys)
            token = reply.next_page_token
            if not token:
                return

    def revoke_api_key(self, api_key_id: str, **options: Unpack[CallOptions]) -> models.ApiKey:
        """Revoke an API key, at once and for good; a key that is revoked already stays unchanged."""
        request = wire.RevokeApiKeyRequest(api_key_id=api_key_id)
        reply = self._calls.unary(methods.REVOKE_API_KEY, request, options)
        return convert.api_key(reply.api_key)

    def issue_token(
        self, subject: str, scopes: Sequence[str], **options: Unpack[GrantOptions]
    ) -> models.IssuedToken:
        """Have the platform sign a token; its default lifetime is 15 minutes.

        Scopes and collections must be among the caller's own. The call is never retried.
        """
        request = convert.issue_token(subject, scopes, options)
        reply = self._calls.unary(methods.ISSUE_TOKEN, request, options)
        return convert.issued_token(reply)

    def revoke_token(self, token_id: str, **options: Unpack[CallOptions]) -> None:
        """Revoke a token of the tenant by its id (the claim `jti`)."""
        request = wire.RevokeTokenRequest(token_id=token_id)
        self._calls.unary(methods.REVOKE_TOKEN, request, options)
