"""How the process itself does, as its metrics say."""

import asyncio
import gc
import time

from rag_common.observability.metrics import Metrics
from rag_common.observability.runtime_metrics import measure_process
from tests.support.waiting import until


async def test_a_loop_that_stood_still_shows() -> None:
    metrics = Metrics()

    def late() -> float:
        return metrics.registry.get_sample_value("rag_event_loop_lag_seconds_sum") or 0.0

    async with measure_process(metrics):
        await until(
            lambda: metrics.registry.get_sample_value("rag_event_loop_lag_seconds_count"),
            "one look",
        )
        asyncio.get_running_loop().call_soon(time.sleep, 0.4)  # it is to stand still
        await until(lambda: late() >= 0.1, "the loop is seen to be late")


async def test_the_collector_s_pauses_are_counted_by_generation() -> None:
    metrics = Metrics()
    async with measure_process(metrics):
        gc.collect()
        await until(
            lambda: metrics.registry.get_sample_value(
                "rag_gc_pause_seconds_count", {"generation": "2"}
            ),
            "a pause is counted",
        )
    assert not [callback for callback in gc.callbacks if "vitals" in type(callback).__module__]


async def test_threads_are_counted() -> None:
    metrics = Metrics()
    async with measure_process(metrics):
        assert (metrics.registry.get_sample_value("rag_threads") or 0) >= 1
