"""Callers, limits, keys and tokens as text."""

import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

from rag_cli.durations import format_duration
from rag_cli.render.tables import console, facts_table, plain_table
from rag_client.models.access import ApiKey, CreatedApiKey, Identity, IssuedToken, Quota, Quotas

_ONCE = "This key is shown only once: store it with your other secrets."


def show_identity(identity: Identity, token_source: str) -> None:
    """Print the caller's identity and the source of the token, one fact per line."""
    facts = {
        "subject": identity.subject,
        "tenant": identity.tenant,
        "scopes": ", ".join(identity.scopes) or "–",
        "roles": ", ".join(identity.roles) or "–",
        "collections": _collection_list(identity.collections),
        "credential": identity.credential_id or "–",
        "tier": identity.tier or "–",
        "token": token_source,
    }
    console().print(facts_table(facts))


def show_quotas(quotas: Quotas) -> None:
    """Print one line per limit; a refill is in units per second, a reset the time until it is full."""
    table = plain_table(["subject", "unit", "left", "refill", "reset"])
    for quota in quotas.quotas:
        table.add_row(*map(Text, _quota(quota)))
    out = console()
    out.print(table)
    if quotas.local:
        local = "limits of one replica: the shared store is unavailable"
        out.print(Text(local, "yellow"))


def show_keys(keys: Iterable[ApiKey]) -> None:
    """Print one line per key."""
    headings = ["key", "name", "scopes", "collections", "by", "created", "expires", "used", "state"]
    table = plain_table(headings)
    now = datetime.now(UTC)
    for key in keys:
        table.add_row(*map(Text, [*_key(key), _state(key, now)]))
    console().print(table)


def show_created_key(created: CreatedApiKey) -> None:
    """Print the key; on a terminal also its properties and a warning that it is shown only once."""
    key = created.api_key
    facts = {
        "id": key.api_key_id,
        "name": key.display_name,
        "scopes": ", ".join(key.scopes),
        "collections": _collection_list(key.collections),
        "expires": _format_time(key.expire_time),
    }
    _show_secret(created.key, facts, _ONCE)


def show_issued_token(issued: IssuedToken) -> None:
    """Print the token; on a terminal also its id and expiry."""
    facts = {"id": issued.token_id, "expires": _format_time(issued.expire_time)}
    _show_secret(issued.token, facts, "")


def _show_secret(secret: str, facts: Mapping[str, str], warning: str) -> None:
    # Not through rich, which would wrap text that has to be copied.
    print(secret, flush=True)
    if not sys.stdout.isatty():
        return
    stderr = Console(stderr=True, highlight=False)
    stderr.print(facts_table(facts))
    if warning:
        stderr.print(Text(warning, "yellow"))


def _quota(quota: Quota) -> list[str]:
    refill = f"{_rate(quota.refill_per_second)}/s" if quota.refill_per_second else "–"
    reset = format_duration(quota.reset) if quota.refill_per_second else "–"
    unit = quota.unit.replace("_", " ")
    return [quota.subject, unit, f"{quota.remaining:,}/{quota.limit:,}", refill, reset]


def _rate(rate: float) -> str:
    return f"{rate:,.1f}".removesuffix(".0") if rate >= 1 else f"{rate:.2g}"


def _key(key: ApiKey) -> list[str]:
    return [
        key.api_key_id,
        key.display_name,
        ", ".join(key.scopes),
        _collection_list(key.collections),
        key.created_by,
        _format_time(key.create_time),
        _format_time(key.expire_time),
        _format_time(key.last_use_time) or "never",
    ]


def _state(key: ApiKey, now: datetime) -> str:
    if key.revoke_time:
        return f"revoked {_format_time(key.revoke_time)}"
    return "expired" if key.expire_time and key.expire_time <= now else "active"


def _collection_list(collections: Iterable[str]) -> str:
    return ", ".join(collections) or "all"


def _format_time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""
