"""A service's own certificate, and the interface of its sources, which notify of renewals."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Certificate:
    """A leaf with its chain, its key, and the roots that verify peers' certificates; all PEM.

    `not_after` is in seconds of Unix time.
    """

    chain: bytes
    key: bytes = field(repr=False)
    roots: bytes
    not_after: float


class Certificates(Protocol):
    """A source of the service's certificate."""

    def current(self) -> Certificate:
        """The certificate to present in new handshakes."""
        ...

    def subscribe(self, renewed: Callable[[Certificate], None]) -> None:
        """Call `renewed`, on the event loop, with every certificate that replaces the current one."""
        ...
