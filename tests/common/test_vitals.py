"""How the process itself does, as its metrics say."""

import asyncio
import gc
import time

from rag_common.metrics import Metrics
from rag_common.vitals import measured
from tests.waiting import until


async def test_a_loop_that_stood_still_shows() -> None:
    metrics = Metrics()

    def late() -> float:
        return metrics.registry.get_sample_value("rag_event_loop_lag_seconds_sum") or 0.0

    async with measured(metrics):
        await until(
            lambda: metrics.registry.get_sample_value("rag_event_loop_lag_seconds_count"),
            "one look",
        )
        asyncio.get_running_loop().call_soon(time.sleep, 0.4)  # it is to stand still
        await until(lambda: late() >= 0.1, "the loop is seen to be late")


async def test_the_collector_s_pauses_are_counted_by_generation() -> None:
    metrics = Metrics()
    async with measured(metrics):
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
    async with measured(metrics):
        assert (metrics.registry.get_sample_value("rag_threads") or 0) >= 1


async def test_what_runs_is_told() -> None:
    metrics = Metrics("shop", "1.2.3")
    page = (await metrics.pages()["/metrics"]()).body.decode()
    [line] = [line for line in page.splitlines() if line.startswith("rag_build_info{")]
    assert 'service="shop"' in line
    assert 'version="1.2.3"' in line
    assert line.endswith(" 1.0")
    assert "process_resident_memory_bytes" in page
