"""Options of the embedded engine's search graph builds: when they are due, retries and limits."""

from dataclasses import dataclass

from rag_common.backoff import exponential


@dataclass(frozen=True, slots=True)
class OptimizerOptions:
    """A graph is due once more than `due_points` points were written since it was built, and more than
    the fraction `due_growth` of the points in it.

    A failed build is retried after `retry_seconds`, doubled with each consecutive failure up to
    `retry_seconds_max`. `write_log_points` limits the ids (100 bytes each) of points written during a
    build; if it is exceeded, the build restarts from a newer copy, and fails after `rounds` attempts.
    A build is stopped and fails after `build_seconds`. The number of written points is saved after
    every `saved_points` of them, so a killed process loses at most that count.
    """

    due_points: int = 5_000
    due_growth: float = 0.2
    retry_seconds: float = 10.0
    retry_seconds_max: float = 300.0
    write_log_points: int = 1_000_000
    rounds: int = 3
    build_seconds: float = 4 * 3600.0
    saved_points: int = 1_000

    def due(self, changed: int, optimized: int) -> bool:
        """Whether a build is due for `changed` written points beside `optimized` points in the graph."""
        return changed > self.due_points and changed > self.due_growth * optimized

    def retry_after(self, failures: int) -> float:
        """Seconds until the next attempt after this number (at least 1) of consecutive failures."""
        return exponential(failures, self.retry_seconds, self.retry_seconds_max)
