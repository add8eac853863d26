"""How long each stage of a call took."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from rag_contract import errors


@dataclass(slots=True)
class StageTimings:
    """Seconds by stage, in the order in which the stages ended."""

    seconds: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=monotonic)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block; a DeadlineExceeded raised in it gets the stage's name in its metadata."""
        began = monotonic()
        try:
            yield
        except errors.DeadlineExceeded as error:
            error.metadata["stage"] = name
            raise
        finally:
            self.seconds[name] = monotonic() - began

    def finish(self) -> None:
        """Record the total time since the start."""
        self.seconds["total"] = monotonic() - self.started
