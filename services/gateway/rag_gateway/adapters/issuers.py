"""Those whose tokens are taken: who they are, where their keys are, and for whom they may speak."""

import asyncio
import tomllib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from prometheus_client import Gauge
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rag_common import errors
from rag_gateway.adapters.documents import discovered, document, require_safe
from rag_gateway.adapters.keys import KeySet
from rag_gateway.policy import SCOPES

_ALL = "*"

Text = Annotated[str, Field(min_length=1, max_length=512)]
Tenant = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class Trusted(BaseModel):
    """One issuer, as the operator describes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: Text
    audience: Text
    # Where its keys are: in a file or at a URL; or where its discovery document says.
    jwks: str = ""
    discovery: bool = False
    algorithms: frozenset[Literal["EdDSA", "ES256", "RS256"]] = frozenset({"EdDSA", "ES256"})
    # For whom it may speak: always for one tenant, or for those whose names its tokens may bear.
    # "*" stands for every tenant that no other issuer names.
    tenant: Tenant | Literal[""] = ""
    tenants: frozenset[Tenant | Literal["*"]] = frozenset()
    tenant_claim: Text = "tenant"
    scopes_claim: Text = "scope"
    roles_claim: Text = "roles"
    tier_claim: Text = "tier"
    # The most that its tokens can give, roles included.
    scopes: frozenset[str] = frozenset(SCOPES)
    # Seconds from issue to expiry; also how long a revocation has to be remembered.
    max_lifetime: Annotated[int, Field(ge=60, le=366 * 86_400)] = 31 * 86_400

    @model_validator(mode="after")
    def _coherent(self) -> "Trusted":
        if bool(self.jwks) == self.discovery:
            raise ValueError("either jwks is set or discovery is true")
        if bool(self.tenant) == bool(self.tenants):
            raise ValueError("either tenant or tenants is set")
        if not self.scopes <= frozenset(SCOPES):
            raise ValueError(f"scopes may be {', '.join(SCOPES)}")
        if "RS256" in self.algorithms and not self.discovery:
            raise ValueError("RS256 is for issuers with discovery = true")
        if self.discovery or "://" in self.jwks:
            require_safe(self.issuer if self.discovery else self.jwks)
        return self


class Issuer:
    """An issuer and its keys."""

    def __init__(self, rules: Trusted, keys: KeySet, *, reserved: Iterable[str] = ()) -> None:
        self.rules = rules
        self.keys = keys
        self._reserved = frozenset(reserved)

    def speaks_for(self, tenant: str) -> bool:
        """Whether its tokens may be of this tenant."""
        listed = self.rules.tenants
        return tenant in listed or (_ALL in listed and tenant not in self._reserved)


class Issuers:
    """All issuers, by the name that stands in their tokens. What ails one is nothing to the others."""

    def __init__(self, issuers: Sequence[Issuer]) -> None:
        self._issuers = {issuer.rules.issuer: issuer for issuer in issuers}

    def get(self, name: str) -> Issuer | None:
        """The issuer of that name, if it is one of ours."""
        return self._issuers.get(name)

    @property
    def longest_lifetime(self) -> float:
        """Seconds that a token can live, whoever issued it."""
        return max(issuer.rules.max_lifetime for issuer in self._issuers.values())

    def measure(self, age: Gauge) -> None:
        """Show how old each issuer's keys are; issuers are those of the settings, so they are few."""
        for name, issuer in self._issuers.items():
            age.labels(name).set_function(partial(_age, issuer.keys))

    async def ready(self) -> None:
        """Return where at least one issuer's tokens can be checked. Raises Unavailable."""
        if any(issuer.keys.usable for issuer in self._issuers.values()):
            return
        checks = [issuer.keys.ready() for issuer in self._issuers.values()]
        results = await asyncio.gather(*checks, return_exceptions=True)
        if all(isinstance(result, errors.AppError) for result in results):
            raise errors.Unavailable("there are no keys to check tokens with", retry_after=2.0)

    @asynccontextmanager
    async def fresh(self, max_age: float) -> AsyncIterator[None]:
        """Inside the block, every issuer's keys are read again each `max_age` seconds."""
        tasks = [
            asyncio.create_task(issuer.keys.keep_fresh(max_age))
            for issuer in self._issuers.values()
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task


def load(path: Path) -> list[Trusted]:
    """The `[[issuers]]` of a TOML file.

    Raises OSError where it cannot be read, ValueError with one sentence where it does not fit.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"the issuers {path} are not TOML: {error}") from error
    entries = document.pop("issuers", None)
    if document or not isinstance(entries, list):
        raise ValueError(f"the issuers {path} must be [[issuers]] tables and nothing else")
    found = [_trusted(path, i, entry) for i, entry in enumerate(entries, 1)]
    names = [entry.issuer for entry in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the issuers {path} name {name} twice")
    return found


def opened(trusted: Sequence[Trusted], *, own: Issuer) -> Issuers:
    """These issuers with their keys' sources, and our own, which speaks for every tenant."""
    for rules in trusted:
        if rules.issuer == own.rules.issuer:
            raise ValueError(f"the issuer {rules.issuer} is the platform's own")
    named = {rules.issuer: {rules.tenant, *rules.tenants} - {"", _ALL} for rules in trusted}
    return Issuers([own, *(_issuer(rules, named) for rules in trusted)])


def _issuer(rules: Trusted, named: Mapping[str, set[str]]) -> Issuer:
    others = [tenants for name, tenants in named.items() if name != rules.issuer]
    source = discovered(rules.issuer) if rules.discovery else document(rules.jwks)
    keys = KeySet(rules.issuer, source, algorithms=rules.algorithms)
    return Issuer(rules, keys, reserved=set().union(*others))


def _trusted(path: Path, number: int, entry: object) -> Trusted:
    try:
        return Trusted.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        told = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"issuer {number} of {path} is unfit: {field} {told}".strip()) from error


def _age(keys: KeySet) -> float:
    return keys.age
