"""A service's own certificate: what it is, where it comes from, and who is told when it is renewed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Certificate:
    """A leaf with its chain, its key, and the roots that others' certificates are checked with; all PEM.

    `not_after` is in seconds of Unix time.
    """

    chain: bytes
    key: bytes = field(repr=False)
    roots: bytes
    not_after: float


class Certificates(Protocol):
    """Where the present certificate comes from."""

    def current(self) -> Certificate:
        """The certificate to be shown from now on."""
        ...

    def subscribe(self, renewed: Callable[[Certificate], None]) -> None:
        """Call `renewed`, on the event loop, with every certificate that comes after the present one."""
        ...
