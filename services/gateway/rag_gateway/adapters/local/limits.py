"""The file of limits: tiers for tenants and credentials, and what the edge asks about."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import structlog

from rag_common.settings import SettingsInvalid
from rag_gateway.tiers import Limits, Rate, Tier

log = structlog.get_logger()

DEFAULT = "default"

# Names of tiers come with tokens: so many unknown ones are told, each once.
_MOST_TOLD = 100


@dataclass(frozen=True)
class LimitsFile:
    """The limits of each tier, of the edge's descriptors by their keys, and tenants' tiers."""

    tiers: Mapping[str, Tier]
    edge: Mapping[str, Rate]
    tenants: Mapping[str, str] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    def of(self, tenant: str, named: str) -> Tier:
        """The limits of the tenant: by its own line here, else by the tier that its token names."""
        return self.tier(self.tenants.get(tenant) or named)

    def name(self, tenant: str, named: str) -> str:
        """The name of the tenant's tier: one of the file's."""
        name = self.tenants.get(tenant) or named
        return name if name in self.tiers else DEFAULT

    def tier(self, name: str) -> Tier:
        """The limits of the tier; the default ones where there is none of that name."""
        found = self.tiers.get(name or DEFAULT)
        if found is None and name not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(name)
            log.warning("tier_unknown", tier=name[:64])
        return found or self.tiers[DEFAULT]


def read(path: str = "") -> LimitsFile:
    """The file at the path, or the one that comes with the gateway. Raises SettingsInvalid."""
    try:
        content = Path(path).read_bytes() if path else _own()
        document = tomllib.loads(content.decode())
        return _parse(document)
    except (OSError, ValueError) as error:
        where = path or "limits.toml"
        raise SettingsInvalid(f"{where} is no file of limits: {_why(error)}") from error


def _own() -> bytes:
    return (files("rag_gateway") / "limits.toml").read_bytes()


def _why(error: Exception) -> str:
    return (error.strerror or "it cannot be read") if isinstance(error, OSError) else str(error)


def _parse(document: Mapping[str, Any]) -> LimitsFile:
    _only(document, {"tiers", "edge", "tenants"}, "the file")
    tiers = {name: _tier(f"tiers.{name}", body) for name, body in _tables(document, "tiers")}
    if DEFAULT not in tiers:
        raise ValueError(f"tiers.{DEFAULT} is missing")
    edge = {name: _rate(f"edge.{name}", body) for name, body in _tables(document, "edge")}
    tenants = dict(_tables(document, "tenants"))
    for tenant, name in tenants.items():
        if name not in tiers:
            raise ValueError(f"tenants.{tenant} is {name}, and there is no such tier")
    return LimitsFile(tiers, edge, tenants)


def _tier(at: str, body: Any) -> Tier:
    table = _only(body, {"tenant", "credential"}, at)
    return Tier(
        _limits(f"{at}.tenant", table.get("tenant", {})),
        _limits(f"{at}.credential", table.get("credential", {})),
    )


def _limits(at: str, body: Any) -> Limits:
    table = _only(body, {"requests", "tokens", "concurrent_streams"}, at)
    streams = table.get("concurrent_streams")
    return Limits(
        requests=_rate(f"{at}.requests", table["requests"]) if "requests" in table else None,
        tokens=_rate(f"{at}.tokens", table["tokens"]) if "tokens" in table else None,
        concurrent_streams=None if streams is None else _whole(f"{at}.concurrent_streams", streams),
    )


def _rate(at: str, body: Any) -> Rate:
    table = _only(body, {"capacity", "refill_per_second"}, at)
    refill = table.get("refill_per_second")
    if isinstance(refill, bool) or not isinstance(refill, int | float) or not 0 < refill < 1e12:
        raise ValueError(f"{at}.refill_per_second must be a number above 0")
    return Rate(_whole(f"{at}.capacity", table.get("capacity")), float(refill))


def _whole(at: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10**12:
        raise ValueError(f"{at} must be a whole number of at least 1")
    return value


def _tables(document: Mapping[str, Any], name: str) -> list[tuple[str, Any]]:
    body = document.get(name, {})
    if not isinstance(body, dict):
        raise ValueError(f"{name} must be a table")
    return list(body.items())


def _only(body: Any, names: set[str], at: str) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise ValueError(f"{at} must be a table")
    unknown = sorted(set(body) - names)
    if unknown:
        raise ValueError(f"{at} has {unknown[0]}, which is none of {', '.join(sorted(names))}")
    return body
