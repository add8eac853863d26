"""The access service's requests and replies, for both flavours of the client."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from google.protobuf.duration_pb2 import Duration

from rag.gateway.v1 import access_service_pb2 as wire
from rag_client import parts
from rag_client.access import results
from rag_client.options import GrantOptions, PageOptions


def create_api_key(
    display_name: str, scopes: Sequence[str], options: GrantOptions
) -> wire.CreateApiKeyRequest:
    """A key to make."""
    return wire.CreateApiKeyRequest(
        display_name=display_name,
        scopes=scopes,
        collections=options.get("collections", ()),
        lifetime=_duration(options.get("lifetime")),
    )


def list_api_keys(page_token: str, options: PageOptions) -> wire.ListApiKeysRequest:
    """A page of keys."""
    return wire.ListApiKeysRequest(page_size=options.get("page_size", 0), page_token=page_token)


def issue_token(
    subject: str, scopes: Sequence[str], options: GrantOptions
) -> wire.IssueTokenRequest:
    """A token to sign."""
    return wire.IssueTokenRequest(
        subject=subject,
        scopes=scopes,
        collections=options.get("collections", ()),
        lifetime=_duration(options.get("lifetime")),
    )


def identity(reply: wire.GetIdentityResponse) -> results.Identity:
    """The caller."""
    return results.Identity(
        subject=reply.subject,
        tenant=reply.tenant,
        scopes=tuple(reply.scopes),
        roles=tuple(reply.roles),
        collections=tuple(reply.collections),
        credential_id=reply.credential_id,
        tier=reply.tier,
    )


def quotas(reply: wire.GetQuotaResponse) -> results.Quotas:
    """The caller's limits."""
    return results.Quotas(tuple(map(_quota, reply.quotas)), reply.local)


def api_key(message: wire.ApiKey) -> results.ApiKey:
    """What is known of a key."""
    return results.ApiKey(
        api_key_id=message.api_key_id,
        display_name=message.display_name,
        scopes=tuple(message.scopes),
        collections=tuple(message.collections),
        created_by=message.created_by,
        **{name: _moment(message, name) for name in _MOMENTS},
    )


_MOMENTS = ("create_time", "expire_time", "last_use_time", "revoke_time")


def created_api_key(reply: wire.CreateApiKeyResponse) -> results.CreatedApiKey:
    """A new key, with its secret."""
    return results.CreatedApiKey(reply.key, api_key(reply.api_key))


def issued_token(reply: wire.IssueTokenResponse) -> results.IssuedToken:
    """A signed token."""
    ends = reply.expire_time.ToDatetime(tzinfo=UTC)
    return results.IssuedToken(reply.token, reply.token_id, ends)


def _quota(message: wire.Quota) -> results.Quota:
    return results.Quota(
        subject=cast(results.QuotaSubject, _word(wire.Quota.Subject, "SUBJECT", message.subject)),
        unit=cast(results.QuotaUnit, _word(wire.Quota.Unit, "UNIT", message.unit)),
        limit=message.limit,
        remaining=message.remaining,
        refill_per_second=message.refill_per_second,
        reset=parts.seconds(message.reset),
    )


def _word(kinds: Any, prefix: str, value: int) -> str:
    """The lower-case word of an enum's value; a newer gateway's is as good as unspecified."""
    if value not in kinds.values():
        return "unspecified"
    return str(kinds.Name(value)).removeprefix(f"{prefix}_").lower()


def _moment(message: wire.ApiKey, name: str) -> datetime | None:
    return getattr(message, name).ToDatetime(tzinfo=UTC) if message.HasField(name) else None


def _duration(lifetime: timedelta | None) -> Duration | None:
    if lifetime is None:
        return None
    duration = Duration()
    duration.FromTimedelta(lifetime)
    return duration
