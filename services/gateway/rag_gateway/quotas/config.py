"""The limits file: tiers for tenants and credentials, and the edge's rate limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import structlog
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rag_common.settings import read_toml
from rag_gateway.quotas.tiers import Limits, Rate, Tier

log = structlog.get_logger()

DEFAULT = "default"
DEFAULT_LIMITS = Path(__file__).with_name("limits.toml")

# Tokens name tiers: at most this many unknown names are logged, each once.
_MAX_LOGGED = 100

_Count = Annotated[int, Field(strict=True, ge=1, le=10**12)]
_PerSecond = Annotated[float, Field(strict=True, gt=0, lt=1e12, allow_inf_nan=False)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _RateTable(_Table):
    capacity: _Count
    refill_per_second: _PerSecond

    def rate(self) -> Rate:
        return Rate(self.capacity, self.refill_per_second)


class _LimitsTable(_Table):
    """The limits of one subject; None means no limit."""

    requests: _RateTable | None = None
    tokens: _RateTable | None = None
    concurrent_streams: _Count | None = None

    def limits(self) -> Limits:
        return Limits(
            self.requests.rate() if self.requests else None,
            self.tokens.rate() if self.tokens else None,
            self.concurrent_streams,
        )


class _TierTable(_Table):
    tenant: _LimitsTable = _LimitsTable()
    credential: _LimitsTable = _LimitsTable()

    def tier(self) -> Tier:
        return Tier(self.tenant.limits(), self.credential.limits())


class _File(_Table):
    """The limits of each tier, the edge's rate limits by descriptor keys, and the tenants' tiers."""

    tiers: dict[str, _TierTable] = {}
    edge: dict[str, _RateTable] = {}
    tenants: dict[str, str] = {}

    @model_validator(mode="after")
    def _known_tiers(self) -> "_File":
        if DEFAULT not in self.tiers:
            raise ValueError(f"tiers.{DEFAULT} is missing")
        for tenant, name in self.tenants.items():
            if name not in self.tiers:
                raise ValueError(f"tenants.{tenant} is {name}, and there is no such tier")
        return self


@dataclass(frozen=True)
class LimitsFile:
    """The limits of each tier, the edge's rate limits by descriptor keys, and the tenants' tiers."""

    tiers: Mapping[str, Tier]
    edge: Mapping[str, Rate]
    tenants: Mapping[str, str] = field(default_factory=dict)
    _logged: set[str] = field(default_factory=set)

    def tier_for(self, tenant: str, claimed: str) -> Tier:
        """The limits of the tenant's tier: the file's entry for the tenant, else the token's claim."""
        return self.tier(self.tenants.get(tenant) or claimed)

    def tier_name(self, tenant: str, claimed: str) -> str:
        """The name of the tenant's tier, always one that the file defines."""
        name = self.tenants.get(tenant) or claimed
        return name if name in self.tiers else DEFAULT

    def tier(self, name: str) -> Tier:
        """The limits of the tier; those of the default tier if there is none of that name."""
        tier = self.tiers.get(name or DEFAULT)
        if tier is None and name not in self._logged and len(self._logged) < _MAX_LOGGED:
            self._logged.add(name)
            log.warning("tier_unknown", tier=name[:64])
        return tier or self.tiers[DEFAULT]


def read(path: Path | None = None) -> LimitsFile:
    """The limits of a file, of the packaged one if None. Raises SettingsInvalid."""
    file = read_toml(path or DEFAULT_LIMITS, _File)
    tiers = {name: table.tier() for name, table in file.tiers.items()}
    return LimitsFile(
        tiers, {name: table.rate() for name, table in file.edge.items()}, file.tenants
    )
