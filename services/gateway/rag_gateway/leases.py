"""A lease: who holds a resource, and for how long."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lease:
    """The holder of a resource, and the seconds after which the lease expires unless it is renewed."""

    holder: str
    seconds: float
