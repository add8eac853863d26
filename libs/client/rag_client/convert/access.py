"""Requests and replies of the access service, for the sync and the async client."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration

from rag.gateway.v1 import access_service_pb2 as wire
from rag_client.convert import common
from rag_client.convert.requests import from_options
from rag_client.models import access
from rag_client.models.options import GrantOptions, PageOptions


def create_api_key(
    display_name: str, scopes: Sequence[str], options: GrantOptions
) -> wire.CreateApiKeyRequest:
    """The request to create a key."""
    lifetime = _duration(options.get("lifetime"))
    return from_options(
        wire.CreateApiKeyRequest,
        options,
        display_name=display_name,
        scopes=scopes,
        lifetime=lifetime,
    )


def list_api_keys(page_token: str, options: PageOptions) -> wire.ListApiKeysRequest:
    """The request for a page of keys."""
    return from_options(wire.ListApiKeysRequest, options, page_token=page_token)


def issue_token(
    subject: str, scopes: Sequence[str], options: GrantOptions
) -> wire.IssueTokenRequest:
    """The request for a signed token."""
    lifetime = _duration(options.get("lifetime"))
    return from_options(
        wire.IssueTokenRequest, options, subject=subject, scopes=scopes, lifetime=lifetime
    )


def identity(reply: wire.GetIdentityResponse) -> access.Identity:
    """The caller's identity."""
    return common.copied(access.Identity, reply)


def quotas(reply: wire.GetQuotaResponse) -> access.Quotas:
    """The caller's limits."""
    return access.Quotas(tuple(map(_quota, reply.quotas)), reply.local)


def api_key(message: wire.ApiKey) -> access.ApiKey:
    """An API key, without its secret."""
    return common.copied(access.ApiKey, message)


def created_api_key(reply: wire.CreateApiKeyResponse) -> access.CreatedApiKey:
    """A new key, with its secret."""
    return access.CreatedApiKey(reply.key, api_key(reply.api_key))


def issued_token(reply: wire.IssueTokenResponse) -> access.IssuedToken:
    """A signed token."""
    return common.copied(access.IssuedToken, reply)


def _quota(message: wire.Quota) -> access.Quota:
    subject = _enum_word(wire.Quota.Subject, "SUBJECT", message.subject)
    unit = _enum_word(wire.Quota.Unit, "UNIT", message.unit)
    return common.copied(access.Quota, message, subject=subject, unit=unit)


def _enum_word(kinds: Any, prefix: str, value: int) -> str:
    """An enum value in lower case; `unspecified` for a value that only a newer gateway knows."""
    if value not in kinds.values():
        return "unspecified"
    return str(kinds.Name(value)).removeprefix(f"{prefix}_").lower()


def _duration(lifetime: timedelta | None) -> Duration | None:
    if lifetime is None:
        return None
    duration = Duration()
    duration.FromTimedelta(lifetime)
    return duration
