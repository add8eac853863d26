"""How long each stage of a call took."""

from dataclasses import dataclass, field
from time import monotonic

from rag_contract import errors


@dataclass(slots=True)
class StageTimings:
    """Seconds by stage, in the order in which the stages ended."""

    seconds: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=monotonic)

    def stage(self, name: str) -> "Stage":
        """Time the block; a DeadlineExceeded raised in it gets the stage's name in its metadata."""
        return Stage(self.seconds, name)

    def finish(self) -> None:
        """Record the total time since the start."""
        self.seconds["total"] = monotonic() - self.started


class Stage:
    """A stage while the block runs."""

    __slots__ = ("_began", "_name", "_seconds")

    def __init__(self, seconds: dict[str, float], name: str) -> None:
        self._seconds = seconds
        self._name = name
        self._began = monotonic()

    def __enter__(self) -> None:
        self._began = monotonic()

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, errors.DeadlineExceeded):
            error.metadata["stage"] = self._name
        self._seconds[self._name] = monotonic() - self._began
