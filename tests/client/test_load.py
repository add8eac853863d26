"""The parts of the load generator."""

import os
from itertools import islice
from pathlib import Path

import grpc
import pytest

from rag_client.load.closed import closed_loop, latency
from rag_client.load.processes import Watch, spent
from rag_client.load.wording import passages, questions, questions_of


def test_questions_are_all_different() -> None:
    assert len(set(islice(questions(), 50_000))) == 50_000


def test_passages_are_all_different() -> None:
    assert len(set(islice(passages(), 500))) == 500


def test_questions_of_a_file_start_again(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"text": "a"}\n{"text": "b"}\n')
    assert list(islice(questions_of(path), 3)) == ["a", "b", "a"]


def test_percentiles_are_those_of_the_nearest_rank() -> None:
    found = latency([n / 1000 for n in range(1, 101)])
    assert (found.p50, found.p95, found.p99) == pytest.approx((50.0, 95.0, 99.0))


async def test_a_closed_loop_counts_replies_and_failures_by_reason() -> None:
    turns = iter(range(10**9))

    async def call() -> None:
        if next(turns) == 1:
            raise grpc.aio.AioRpcError(
                grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata()
            )

    loop = await closed_loop(call, 2, 0.01)
    assert loop.errors == {"DEPENDENCY_DOWN": 1}
    assert len(loop.latencies) > 1


def test_a_process_has_spent_time_and_memory() -> None:
    assert spent(os.getpid()).cpu_seconds > 0
    assert spent(os.getpid()).memory_mib > 1


def test_a_watch_counts_from_its_beginning() -> None:
    now = spent(os.getpid()).cpu_seconds
    assert Watch({"self": os.getpid()}).read()["self"].cpu_seconds < now


def test_a_process_that_is_not_there_is_named() -> None:
    with pytest.raises(ProcessLookupError, match="4194999"):
        spent(4_194_999)
