"""Callers, limits, keys and tokens as a terminal shows them."""

import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

from rag_client.access.results import ApiKey, CreatedApiKey, Identity, IssuedToken, Quota, Quotas
from rag_client.console.durations import span
from rag_client.console.tables import console, facts_table, plain_table

_ONCE = "This is the only time the key is shown: keep it where secrets are kept."


def show_identity(identity: Identity) -> None:
    """Who calls, a line a fact."""
    facts = {
        "subject": identity.subject,
        "tenant": identity.tenant,
        "scopes": ", ".join(identity.scopes) or "–",
        "roles": ", ".join(identity.roles) or "–",
        "collections": _opened(identity.collections),
        "credential": identity.credential_id or "–",
        "tier": identity.tier or "–",
    }
    console().print(facts_table(facts))


def show_quotas(quotas: Quotas) -> None:
    """A line a limit; a refill is in units a second, a reset the time until all is there again."""
    table = plain_table(["subject", "unit", "left", "refill", "reset"])
    for quota in quotas.quotas:
        table.add_row(*map(Text, _quota(quota)))
    out = console()
    out.print(table)
    if quotas.local:
        local = "one replica's own limits: the store that all share does not answer"
        out.print(Text(local, "yellow"))


def show_keys(found: Iterable[ApiKey]) -> None:
    """A line a key."""
    headings = ["key", "name", "scopes", "collections", "by", "created", "expires", "used", "state"]
    table = plain_table(headings)
    now = datetime.now(UTC)
    for key in found:
        table.add_row(*map(Text, [*_key(key), _state(key, now)]))
    console().print(table)


def show_created_key(created: CreatedApiKey) -> None:
    """The key; for a person also what it gives, and that it will not be seen again."""
    key = created.api_key
    facts = {
        "id": key.api_key_id,
        "name": key.display_name,
        "scopes": ", ".join(key.scopes),
        "collections": _opened(key.collections),
        "expires": _moment(key.expire_time),
    }
    _show_secret(created.key, facts, _ONCE)


def show_issued_token(issued: IssuedToken) -> None:
    """The token; for a person also its id and its end."""
    facts = {"id": issued.token_id, "expires": _moment(issued.expire_time)}
    _show_secret(issued.token, facts, "")


def _show_secret(secret: str, facts: Mapping[str, str], warning: str) -> None:
    # Not through rich: it would wrap what has to be copied whole.
    print(secret, flush=True)
    if not sys.stdout.isatty():
        return
    side = Console(stderr=True, highlight=False)
    side.print(facts_table(facts))
    if warning:
        side.print(Text(warning, "yellow"))


def _quota(quota: Quota) -> list[str]:
    refill = f"{_rate(quota.refill_per_second)}/s" if quota.refill_per_second else "–"
    reset = span(quota.reset) if quota.refill_per_second else "–"
    unit = quota.unit.replace("_", " ")
    return [quota.subject, unit, f"{quota.remaining:,}/{quota.limit:,}", refill, reset]


def _rate(rate: float) -> str:
    return f"{rate:,.1f}".removesuffix(".0") if rate >= 1 else f"{rate:.2g}"


def _key(key: ApiKey) -> list[str]:
    return [
        key.api_key_id,
        key.display_name,
        ", ".join(key.scopes),
        _opened(key.collections),
        key.created_by,
        _moment(key.create_time),
        _moment(key.expire_time),
        _moment(key.last_use_time) or "never",
    ]


def _state(key: ApiKey, now: datetime) -> str:
    if key.revoke_time:
        return f"revoked {_moment(key.revoke_time)}"
    return "expired" if key.expire_time and key.expire_time <= now else "active"


def _opened(collections: Iterable[str]) -> str:
    return ", ".join(collections) or "all"


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""
