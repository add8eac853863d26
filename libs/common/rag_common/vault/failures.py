"""What can go wrong with Vault, by who can answer it: time, or whoever set it up."""

from collections.abc import Iterator
from contextlib import contextmanager

from rag_common import errors
from rag_common.settings import SettingsInvalid

_RETRY_AFTER = 2.0


class Unreachable(Exception):
    """Vault does not answer in time, or not as Vault does; it may later."""


class Sealed(Unreachable):
    """Vault is there and sealed: an operator has to unseal it."""


class Failing(Unreachable):
    """Vault answers that it cannot answer: an error of its own, or too much to do."""


class Refused(SettingsInvalid):
    """Vault answers and refuses: the login, the path, or what was asked of it."""


class Denied(Refused):
    """Refused with 403: the token has ended, or its policy does not allow this."""


class SecretIdUsed(Refused):
    """The wrapped secret id was unwrapped before, or its time is over."""


class SecretIdForeign(Refused):
    """The wrapping token was made by something else than this role: somebody put it there."""


class Missing(SettingsInvalid):
    """There is no such path, or no such field in the secret."""


@contextmanager
def starting() -> Iterator[None]:
    """Turns an unreachable Vault into Unavailable; what was set up wrongly is SettingsInvalid already."""
    try:
        yield
    except Unreachable as error:
        raise errors.Unavailable(
            str(error), metadata={"peer": "vault"}, retry_after=_RETRY_AFTER
        ) from error


@contextmanager
def serving(sentence: str) -> Iterator[None]:
    """Turns every failure into Unavailable with the sentence, which a caller may read."""
    try:
        yield
    except (Unreachable, SettingsInvalid) as error:
        raise errors.Unavailable(
            sentence, metadata={"peer": "vault"}, retry_after=_RETRY_AFTER
        ) from error
