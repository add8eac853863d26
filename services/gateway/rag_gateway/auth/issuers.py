"""Trusted token issuers: their configuration, their keys, and the tenants they may issue tokens for."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from prometheus_client import Gauge
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rag_common.aio import background
from rag_common.settings import read_toml
from rag_contract import errors
from rag_gateway.auth.jwks import KeySet
from rag_gateway.auth.jwks_sources import discovered_jwks, jwks_document, require_safe
from rag_gateway.auth.policy import SCOPES, Scope

_ALL = "*"

Text = Annotated[str, Field(min_length=1, max_length=512)]
_TENANT = "[a-z0-9][a-z0-9_-]{0,63}"
OptionalTenant = Annotated[str, Field(pattern=f"^({_TENANT})?$")]
TenantOrAll = Annotated[str, Field(pattern=rf"^({_TENANT}|\*)$")]


class IssuerConfig(BaseModel):
    """The configuration of one issuer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: Text
    audience: Text
    # The file or URL of its JWKS; or `discovery`, if its discovery document has the URL.
    jwks: str = ""
    discovery: bool = False
    algorithms: frozenset[Literal["EdDSA", "ES256", "RS256"]] = frozenset({"EdDSA", "ES256"})
    # The tenant of all its tokens, or the tenants that its tokens may claim.
    # "*" means every tenant that no other issuer lists.
    tenant: OptionalTenant = ""
    tenants: frozenset[TenantOrAll] = frozenset()
    tenant_claim: Text = "tenant"
    scopes_claim: Text = "scope"
    roles_claim: Text = "roles"
    tier_claim: Text = "tier"
    # The upper bound of the scopes of its tokens, including those of roles.
    scopes: frozenset[Scope] = frozenset(SCOPES)
    # Maximum seconds from issue to expiry; also how long a revocation must be stored.
    max_lifetime: Annotated[int, Field(ge=60, le=366 * 86_400)] = 31 * 86_400

    @model_validator(mode="after")
    def _coherent(self) -> "IssuerConfig":
        if bool(self.jwks) == self.discovery:
            raise ValueError("either jwks is set or discovery is true")
        if bool(self.tenant) == bool(self.tenants):
            raise ValueError("either tenant or tenants is set")
        if "RS256" in self.algorithms and not self.discovery:
            raise ValueError("RS256 is for issuers with discovery = true")
        if self.discovery or "://" in self.jwks:
            require_safe(self.issuer if self.discovery else self.jwks)
        return self


class _IssuersFile(BaseModel):
    """The issuers file."""

    model_config = ConfigDict(extra="forbid")

    issuers: list[IssuerConfig]

    @field_validator("issuers")
    @classmethod
    def _distinct(cls, issuers: list[IssuerConfig]) -> list[IssuerConfig]:
        names = [config.issuer for config in issuers]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} is listed twice")
        return issuers


class Issuer:
    """An issuer and its keys."""

    def __init__(self, rules: IssuerConfig, keys: KeySet, *, reserved: Iterable[str] = ()) -> None:
        self.rules = rules
        self.keys = keys
        self._reserved = frozenset(reserved)

    def speaks_for(self, tenant: str) -> bool:
        """Whether its tokens may claim this tenant."""
        listed = self.rules.tenants
        return tenant in listed or (_ALL in listed and tenant not in self._reserved)


class Issuers:
    """Trusted issuers by `iss`; one that fails does not affect the others."""

    def __init__(self, issuers: Sequence[Issuer]) -> None:
        self._issuers = {issuer.rules.issuer: issuer for issuer in issuers}

    def get(self, name: str) -> Issuer | None:
        """The issuer of that name; None if it is not trusted."""
        return self._issuers.get(name)

    @property
    def longest_lifetime(self) -> float:
        """The maximum lifetime of a token of any issuer, in seconds."""
        return max(issuer.rules.max_lifetime for issuer in self._issuers.values())

    def measure(self, age: Gauge) -> None:
        """Export the age of each issuer's keys; the configured issuers are few, so labels are bounded."""
        for name, issuer in self._issuers.items():
            age.labels(name).set_function(partial(_age, issuer.keys))

    async def ready(self) -> None:
        """Return if the keys of at least one issuer are usable. Raises Unavailable."""
        if any(issuer.keys.usable for issuer in self._issuers.values()):
            return
        checks = [issuer.keys.ready() for issuer in self._issuers.values()]
        results = await asyncio.gather(*checks, return_exceptions=True)
        if all(isinstance(result, errors.AppError) for result in results):
            raise errors.DependencyDown("there are no keys to check tokens with", retry_after=2.0)

    @asynccontextmanager
    async def renewing(self, max_age: float) -> AsyncIterator[None]:
        """Renew every issuer's keys every `max_age` seconds while the block runs."""
        renewals = (issuer.keys.keep_fresh(max_age) for issuer in self._issuers.values())
        async with background(*renewals):
            yield


def read_issuers(path: Path) -> list[IssuerConfig]:
    """The `[[issuers]]` of a TOML file. Raises SettingsInvalid."""
    return read_toml(path, _IssuersFile).issuers


def build_issuers(configs: Sequence[IssuerConfig], *, own: Issuer) -> Issuers:
    """The configured issuers, and the platform's own, which may issue tokens for every tenant."""
    for rules in configs:
        if rules.issuer == own.rules.issuer:
            raise ValueError(f"the issuer {rules.issuer} is the platform's own")
    named = {rules.issuer: {rules.tenant, *rules.tenants} - {"", _ALL} for rules in configs}
    return Issuers([own, *(_issuer(rules, named) for rules in configs)])


def _issuer(rules: IssuerConfig, named: Mapping[str, set[str]]) -> Issuer:
    others = [tenants for name, tenants in named.items() if name != rules.issuer]
    source = discovered_jwks(rules.issuer) if rules.discovery else jwks_document(rules.jwks)
    keys = KeySet(rules.issuer, source, algorithms=rules.algorithms)
    return Issuer(rules, keys, reserved=set().union(*others))


def _age(keys: KeySet) -> float:
    return keys.age
