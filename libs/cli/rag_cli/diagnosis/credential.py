"""The claims of a token, read without verification; the gateway verifies it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc.util import json_b64decode

from rag.gateway.v1 import access_service_pb2 as access
from rag_cli.diagnosis.checks import Check
from rag_cli.diagnosis.gateway import GatewayProbe
from rag_cli.durations import format_duration
from rag_client.convert import access as messages
from rag_client.models.access import ApiKey, Identity
from rag_client.transport import methods

_SOON = 60.0


@dataclass(frozen=True, slots=True)
class Credential:
    """A token, which is never printed, and its source."""

    token: str
    source: str

    @property
    def is_api_key(self) -> bool:
        """Whether it is an API key of the platform, not a JWT."""
        return self.token.startswith("rag_")


def claims(token: str) -> Mapping[str, Any] | None:
    """The claims of a JWT; None for anything else."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        payload = json_b64decode(parts[1].encode())
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def token_check(credential: Credential, missing_reason: str) -> Check:
    """The kind of token, and whether it is valid by this machine's clock."""
    if not credential.token:
        advice = (
            "set RAG_TOKEN to a token or an API key, or RAG_TOKEN_FILE to a file that holds one"
        )
        return Check("token", "failure", f"no token: {missing_reason}", advice)
    payload = claims(credential.token)
    if payload is None:
        is_key = credential.is_api_key
        kind = "an API key" if is_key else "neither a JWT nor an API key"
        return Check(
            "token",
            "ok" if is_key else "warning",
            f"{kind} ({credential.source})",
            "" if is_key else "check the content of RAG_TOKEN or of the token's file",
        )
    return _jwt_check(credential.source, payload, time.time())


def _jwt_check(source: str, payload: Mapping[str, Any], now: float) -> Check:
    named = f"a JWT of {payload.get('iss', 'no issuer')} ({source})"
    start, end = (_time(payload.get(name)) for name in ("nbf", "exp"))
    if end is not None and end <= now:
        return Check(
            "token",
            "failure",
            f"{named}; expired {format_duration(now - end)} ago",
            "get a new token",
        )
    if start is not None and start > now:
        return Check(
            "token",
            "failure",
            f"{named}; valid in {format_duration(start - now)}, not before",
            "check the clocks of this machine and of the token's issuer",
        )
    if end is None:
        return Check("token", "warning", f"{named}; never expires", "get one with an expiry: exp")
    if end - now < _SOON:
        return Check(
            "token",
            "warning",
            f"{named}; expires in {format_duration(end - now)}",
            "get a new token",
        )
    return Check("token", "ok", f"{named}; expires in {format_duration(end - now)}")


def _time(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


_DUE = timedelta(days=7)
_PAGE = 100
_MAX_PAGES = 20


def key_check(probe: GatewayProbe, who: Identity) -> Check:
    """The expiry of the caller's own key; skipped for a caller that may not list keys."""
    if "admin" not in who.scopes:
        return Check("key", "skipped", "only administrators can read its expiry: rag keys list")
    request = access.ListApiKeysRequest(page_size=_PAGE)
    for _ in range(_MAX_PAGES):
        reply = probe.call(methods.LIST_API_KEYS, request)
        if reply.error:
            return Check("key", "skipped", f"its expiry is unknown: {reply.error.message}")
        keys = map(messages.api_key, reply.message.api_keys)
        own = next((key for key in keys if key.api_key_id == who.credential_id), None)
        if own:
            return _expiry_check(own, datetime.now(UTC))
        if not reply.message.next_page_token:
            break
        request.page_token = reply.message.next_page_token
    return Check("key", "skipped", "it is not among the keys of the tenant")


def _expiry_check(key: ApiKey, now: datetime) -> Check:
    if key.expire_time is None:
        return Check("key", "ok", f"{key.display_name}; never expires")
    left = key.expire_time - now
    detail = f"{key.display_name}; expires in {format_duration(max(left.total_seconds(), 0.0))}"
    if left < _DUE:
        return Check("key", "warning", detail, "create a new key in time: rag keys create")
    return Check("key", "ok", detail)
