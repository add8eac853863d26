"""Vault errors: those that may pass (Unreachable), and those that an operator must fix (Refused)."""

from collections.abc import Iterator
from contextlib import contextmanager

from rag_common.settings import SettingsInvalid
from rag_contract import errors

_RETRY_AFTER = 2.0


class Unreachable(Exception):
    """Vault does not answer in time or sends an invalid response; a later attempt may succeed."""


class Sealed(Unreachable):
    """Vault is sealed: an operator has to unseal it."""


class Failing(Unreachable):
    """Vault reports an internal error or overload."""


class Refused(SettingsInvalid):
    """Vault refuses the login, the path, or the request."""


class Denied(Refused):
    """Refused with 403: the token has expired, or its policy does not allow the request."""


class SecretIdUsed(Refused):
    """The wrapped secret id was already unwrapped, or has expired."""


class SecretIdForeign(Refused):
    """The wrapping token was not created for this role: it may have been replaced."""


class Missing(SettingsInvalid):
    """The path or the secret's field does not exist."""


@contextmanager
def startup_errors() -> Iterator[None]:
    """Turn Unreachable into DependencyDown; the other failures are SettingsInvalid already."""
    try:
        yield
    except Unreachable as error:
        raise errors.DependencyDown(
            str(error), metadata={"peer": "vault"}, retry_after=_RETRY_AFTER
        ) from error


@contextmanager
def request_errors(sentence: str) -> Iterator[None]:
    """Turn every failure into DependencyDown with this sentence, which callers may see."""
    try:
        yield
    except (Unreachable, SettingsInvalid) as error:
        raise errors.DependencyDown(
            sentence, metadata={"peer": "vault"}, retry_after=_RETRY_AFTER
        ) from error
