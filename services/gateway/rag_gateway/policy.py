"""Who may do what, as data: scopes of methods and roles from policy.toml. What is not there is denied."""

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_common import errors
from rag_common.context import Principal

SCOPES = ("search", "answer", "ingest", "admin")
SHIPPED = Path(__file__).with_name("policy.toml")

_ANY = "any"
_ALL = "*"
_ROLE = ("scopes", "collections")


@dataclass(frozen=True, slots=True)
class Role:
    """What a role gives; `collections` is None where it opens all."""

    scopes: frozenset[str]
    collections: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Granted:
    """What a credential gives, its roles included; `collections` is None where all are open."""

    scopes: frozenset[str]
    roles: frozenset[str]
    collections: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Policy:
    """Scopes by method, None where any valid credential will do; and roles by name."""

    methods: Mapping[str, str | None]
    roles: Mapping[str, Role]

    def authorize(self, method: str, principal: Principal) -> None:
        """Return where the principal may call the method. Raises PermissionDenied."""
        if method not in self.methods:
            raise errors.PermissionDenied("this method is not open to anyone")
        scope = self.methods[method]
        if scope and not holds(principal, scope):
            raise errors.PermissionDenied(
                f"this needs the scope {scope}", metadata={"required_scope": scope}
            )

    def grant(
        self, scopes: Collection[str], roles: Collection[str], claimed: Collection[str] | None
    ) -> Granted:
        """What direct scopes, roles and the collections that a credential claims come to.

        Words that are no scope or role of ours are left out. Where roles are named, only they open
        collections; `claimed` restricts. Raises CollectionForbidden where no collection is left.
        """
        held = frozenset(roles) & self.roles.keys()
        given = [self.roles[name] for name in held]
        opened = _union([role.collections for role in given]) if roles else None
        opened = _both(opened, None if claimed is None else frozenset(claimed))
        if opened is not None and not opened:
            raise errors.CollectionForbidden("this credential opens no collection")
        direct = frozenset(scopes) & frozenset(SCOPES)
        return Granted(direct.union(*(role.scopes for role in given)), held, opened)


def load(path: Path, public: Collection[str]) -> Policy:
    """The policy of a file, for exactly these methods.

    Raises OSError where it cannot be read, and ValueError with one sentence where it does not fit.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"the policy {path} is not TOML: {error}") from error
    try:
        return _policy(document, public)
    except ValueError as error:
        raise ValueError(f"the policy {path} is unfit: {error}") from error


def holds(principal: Principal, scope: str) -> bool:
    """Whether the principal has the scope; `admin` has all."""
    return scope in principal.scopes or "admin" in principal.scopes


def collections_for(principal: Principal, asked: Sequence[str]) -> tuple[str, ...] | None:
    """The collections that a call is about: those asked for, or all the principal's; None for every one.

    Never empty. Raises CollectionForbidden, whether or not there is a collection of that name.
    """
    own = principal.collections
    if asked:
        for name in asked:
            if own is not None and name not in own:
                raise errors.CollectionForbidden(
                    f"the collection {name} is not open to this credential",
                    metadata={"collection": name},
                )
        return tuple(asked)
    if own is not None and not own:
        raise errors.CollectionForbidden("this credential opens no collection")
    return None if own is None else tuple(sorted(own))


def _union(sets: Sequence[frozenset[str] | None]) -> frozenset[str] | None:
    return None if None in sets else frozenset().union(*(found or () for found in sets))


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _policy(document: Mapping[str, Any], public: Collection[str]) -> Policy:
    _only(document, ("roles", "methods"), "the file")
    methods = _table(document.get("methods", {}), "[methods]")
    roles = _table(document.get("roles", {}), "[roles]")
    return Policy(
        _methods(methods, frozenset(public)),
        {name: _role(name, _table(role, f"[roles.{name}]")) for name, role in roles.items()},
    )


def _methods(given: Mapping[str, Any], public: frozenset[str]) -> dict[str, str | None]:
    for method in sorted(given.keys() - public):
        raise ValueError(f"{method} is not a public method")
    for method in sorted(public - given.keys()):
        raise ValueError(f"the public method {method} has no scope")
    for method, scope in given.items():
        if scope != _ANY:
            _known(scope, method)
    return {method: None if scope == _ANY else scope for method, scope in given.items()}


def _role(name: str, given: Mapping[str, Any]) -> Role:
    where = f"the role {name}"
    _only(given, _ROLE, where)
    scopes, collections = (_texts(given.get(key), f"{where}'s {key}") for key in _ROLE)
    for scope in scopes:
        _known(scope, where)
    return Role(scopes, None if _ALL in collections else collections)


def _known(scope: object, where: str) -> None:
    if scope not in SCOPES:
        raise ValueError(f"{where} names the scope {scope!r}, which is none of {', '.join(SCOPES)}")


def _texts(value: object, where: str) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        raise ValueError(f"{where} must be a list of texts")
    return frozenset(value)


def _table(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be a table")
    return value


def _only(given: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in sorted(given.keys() - set(known)):
        raise ValueError(f"{where} has {key}, which is none of {', '.join(known)}")
