"""The limits of moments and of lengths of time."""

from dataclasses import dataclass
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from rag_common.messages import violation
from rag_gateway.requests.rules import NOTHING, Violations, out_of_range


@dataclass(frozen=True, slots=True)
class Lifetime:
    """A length of time of `least` to `most` seconds."""

    least: int
    most: int
    required: bool = False

    def broken(self, value: Duration, path: str) -> Violations:
        exact = value.seconds + value.nanos / 1e9
        if self.least <= exact <= self.most and 0 <= value.nanos < 10**9:
            return NOTHING
        return [out_of_range(path, self.least, self.most)]

    def schema(self) -> dict[str, Any]:
        return {"description": f"{self.least:,} to {self.most:,} seconds"}


@dataclass(frozen=True, slots=True)
class Moment:
    """A time between the years 1 and 9999."""

    required: bool = False

    def broken(self, value: Timestamp, path: str) -> Violations:
        if _YEAR_1 <= value.seconds <= _YEAR_9999 and 0 <= value.nanos < 10**9:
            return NOTHING
        return [violation(path, "OUT_OF_RANGE", least="0001-01-01", most="9999-12-31")]

    def schema(self) -> dict[str, Any]:
        return {"format": "date-time"}


_YEAR_1, _YEAR_9999 = -62_135_596_800, 253_402_300_799
