"""The access policy: the scopes of methods and roles. Deny by default."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from rag_common.context import Principal
from rag_contract import errors

Scope = Literal["search", "answer", "ingest", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True, slots=True)
class Role:
    """The rights of a role; `collections` is None if it gives access to all."""

    scopes: frozenset[str]
    collections: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Permissions:
    """The effective rights of a credential, including its roles; `collections` is None for all."""

    scopes: frozenset[str]
    roles: frozenset[str]
    collections: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """The required scope of each method, None if any valid credential suffices; and the roles by name."""

    methods: Mapping[str, str | None]
    roles: Mapping[str, Role]

    def authorize(self, method: str, principal: Principal) -> None:
        """Return if the principal may call the method. Raises MethodForbidden, ScopeMissing."""
        if method not in self.methods:
            raise errors.MethodForbidden("the access policy does not allow this method")
        scope = self.methods[method]
        if scope and not holds(principal, scope):
            raise errors.ScopeMissing(f"missing scope {scope}", metadata={"required_scope": scope})

    def grant(
        self, scopes: Collection[str], roles: Collection[str], claimed: Collection[str] | None
    ) -> Permissions:
        """The rights that result from a credential's scopes, roles and claimed collections.

        Unknown scopes and roles are ignored. If the credential has roles, its collections are those of
        the roles; `claimed` restricts them. Raises CollectionForbidden if no collection remains.
        """
        known = frozenset(roles) & self.roles.keys()
        held = [self.roles[name] for name in known]
        collections = _union([role.collections for role in held]) if roles else None
        collections = _intersection(collections, None if claimed is None else frozenset(claimed))
        if collections is not None and not collections:
            raise errors.CollectionForbidden("this credential gives access to no collection")
        direct = frozenset(scopes) & frozenset(SCOPES)
        return Permissions(direct.union(*(role.scopes for role in held)), known, collections)


def holds(principal: Principal, scope: str) -> bool:
    """Whether the principal has the scope; `admin` implies all scopes."""
    return scope in principal.scopes or "admin" in principal.scopes


def collections_for(principal: Principal, requested: Sequence[str]) -> tuple[str, ...] | None:
    """The requested collections, or all that the principal may access; None for no restriction.

    The result is never empty. Raises CollectionForbidden, whether or not the collection exists.
    """
    allowed = principal.collections
    if requested:
        for name in requested:
            if allowed is not None and name not in allowed:
                raise errors.CollectionForbidden(
                    f"this credential gives no access to the collection {name}",
                    metadata={"collection": name},
                )
        return tuple(requested)
    if allowed is not None and not allowed:
        raise errors.CollectionForbidden("this credential gives access to no collection")
    return None if allowed is None else tuple(sorted(allowed))


def _union(sets: Sequence[frozenset[str] | None]) -> frozenset[str] | None:
    return None if None in sets else frozenset().union(*(each or () for each in sets))


def _intersection(
    one: frozenset[str] | None, other: frozenset[str] | None
) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other
