"""The record of one call: seconds by stage, and what its reply was made with."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from rag_common import errors


@dataclass(slots=True)
class Journey:
    """What a reply was made with, filled stage by stage."""

    seconds: dict[str, float] = field(default_factory=dict)
    fingerprint: str = ""
    index_version: str = ""
    query_terms: Sequence[str] = ()
    degraded: list[str] = field(default_factory=list)
    started: float = field(default_factory=monotonic)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times the block, in seconds; an error in it that lacks a stage gets this one."""
        began = monotonic()
        try:
            yield
        except errors.DeadlineExceeded as error:
            error.metadata["stage"] = name
            raise
        finally:
            self.seconds[name] = monotonic() - began

    def finish(self) -> None:
        """Note the whole time."""
        self.seconds["total"] = monotonic() - self.started
