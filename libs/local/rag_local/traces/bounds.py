"""How much a store of traces keeps, and what it counts of the rest."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most of each: `spans` of one trace, `bytes` of all, `request_bytes` of one export, unpacked."""

    traces: int = 2_000
    spans: int = 10_000
    bytes: int = 128 * 1024 * 1024
    request_bytes: int = 16 * 1024 * 1024


@dataclass(slots=True)
class Dropped:
    """What the bounds have cost: whole traces, the oldest, and spans that found no room."""

    traces: int = 0
    spans: int = 0
