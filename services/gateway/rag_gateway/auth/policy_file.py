"""Reads the access policy from a TOML file such as policy.toml."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag_common.settings import SettingsInvalid, read_toml
from rag_gateway.auth.policy import AccessPolicy, Role, Scope

DEFAULT_POLICY = Path(__file__).with_name("policy.toml")

_ANY = "any"
_ALL = "*"


class _RoleTable(BaseModel):
    """A role; the collection `*` means all collections."""

    model_config = ConfigDict(extra="forbid")

    scopes: frozenset[Scope]
    collections: frozenset[Annotated[str, Field(min_length=1)]]

    def role(self) -> Role:
        return Role(self.scopes, None if _ALL in self.collections else self.collections)


class _PolicyFile(BaseModel):
    """The required scope of each method, `any` if any valid credential suffices; and the roles."""

    model_config = ConfigDict(extra="forbid")

    methods: dict[str, Literal["any", Scope]] = {}
    roles: dict[str, _RoleTable] = {}


def read_policy(path: Path, public: Collection[str]) -> AccessPolicy:
    """The policy of a file, which must cover exactly these public methods. Raises SettingsInvalid."""
    file = read_toml(path, _PolicyFile)
    for method in sorted(file.methods.keys() - set(public)):
        raise SettingsInvalid(f"{path} is invalid: {method} is not a public method")
    for method in sorted(set(public) - file.methods.keys()):
        raise SettingsInvalid(f"{path} is invalid: the public method {method} has no scope")
    return AccessPolicy(
        {method: None if scope == _ANY else scope for method, scope in file.methods.items()},
        {name: table.role() for name, table in file.roles.items()},
    )
