"""Backoff: the waits double up to a maximum, and jitter stays within its bounds."""

from rag_common.backoff import exponential, jittered


def test_the_wait_doubles_with_each_failure_up_to_the_maximum() -> None:
    waits = [exponential(failures, 0.5, 5.0) for failures in (1, 2, 3, 4, 5, 10_000)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_jitter_stays_within_its_bounds() -> None:
    assert all(9 <= jittered(10) <= 11 for _ in range(100))
    assert all(5 <= jittered(10, 0.5, 1.0) <= 10 for _ in range(100))
