"""Calls that run out of a time which their caller made too short are told apart from our faults."""

import asyncio
import time
from contextlib import suppress

import grpc
import pytest
from prometheus_client import CollectorRegistry

from rag_common.context import Call
from rag_common.observability.setup import Telemetry
from rag_contract import errors, status
from tests.support.common.acts import within
from tests.support.rpc import KINDS, Act, Settings, method, peer, served
from tests.support.waiting import until

SERVED = "rag_rpc_server_duration_seconds_count"
MADE = "rag_rpc_client_duration_seconds_count"


def ending(error: errors.AppError) -> Act:
    async def act(_text: str) -> str:
        raise error

    return act


async def slow(text: str) -> str:
    await asyncio.sleep(0.3)
    return text


OUT_OF_TIME = ending(errors.DeadlineExceeded("over"))
AWAY = ending(errors.DependencyDown("away"))


def counted(registry: CollectorRegistry, metric: str) -> dict[tuple[str, str], float]:
    """How many calls there were by code and `deadline`."""
    result: dict[tuple[str, str], float] = {}
    for sample in (sample for family in registry.collect() for sample in family.samples):
        if sample.name == metric:
            key = sample.labels["code"], sample.labels["deadline"]
            result[key] = result.get(key, 0.0) + sample.value
    return result


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("act", "bound", "timeout", "expected"),
    [
        (OUT_OF_TIME, 1, 0.5, ("DEADLINE_EXCEEDED", "short")),
        (OUT_OF_TIME, 1, 5, ("DEADLINE_EXCEEDED", "")),
        (OUT_OF_TIME, 1, None, ("DEADLINE_EXCEEDED", "")),
        (OUT_OF_TIME, 0, 0.5, ("DEADLINE_EXCEEDED", "")),
        (OUT_OF_TIME, Settings().short_deadline, 0.15, ("DEADLINE_EXCEEDED", "")),
        (AWAY, 1, 0.5, ("UNAVAILABLE", "")),
    ],
    ids=["short", "enough", "none", "switched off", "default", "another fault"],
)
async def test_only_a_call_that_ran_out_of_a_short_time_is_excused(
    kind: str, act: Act, bound: float, timeout: float | None, expected: tuple[str, str]
) -> None:
    telemetry, settings = Telemetry(), Settings(short_deadline=bound)
    async with served(act, settings=settings, telemetry=telemetry) as service:
        await service.failure(kind, timeout=timeout)
    assert counted(telemetry.metrics.registry, SERVED) == {expected: 1}


@pytest.mark.parametrize("seconds", [0.005, 0.03, 0.1])
@pytest.mark.parametrize("kind", KINDS)
async def test_no_short_call_is_a_fault_whichever_side_notices_first(
    kind: str, seconds: float
) -> None:
    telemetry = Telemetry()
    async with served(slow, settings=Settings(short_deadline=1), telemetry=telemetry) as service:
        for _ in range(3):
            # At its deadline grpc.aio may cancel a call with an iterator of requests.
            with suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
                await service.call(kind, timeout=seconds)
        registry = telemetry.metrics.registry
        await until(
            lambda: registry.get_sample_value("rag_rpc_server_in_flight") == 0, "calls have ended"
        )
    result = counted(telemetry.metrics.registry, SERVED)
    assert set(result) <= {("DEADLINE_EXCEEDED", "short"), ("CANCELLED", "")}


@pytest.mark.parametrize("short_deadline", [0, 0.3])
@pytest.mark.parametrize("kind", KINDS)
async def test_what_has_too_little_time_to_begin_is_excused_whatever_counts_as_short(
    kind: str, short_deadline: float
) -> None:
    telemetry = Telemetry()
    settings = Settings(min_budget=0.4, short_deadline=short_deadline)
    async with served(settings=settings, telemetry=telemetry) as service:
        error = await service.failure(kind, timeout=0.35)
    assert error.metadata["stage"] == "admission"
    assert counted(telemetry.metrics.registry, SERVED) == {("DEADLINE_EXCEEDED", "short"): 1}


@pytest.mark.parametrize(
    ("act", "hurried", "expected"),
    [
        (OUT_OF_TIME, True, ("DEADLINE_EXCEEDED", "short")),
        (OUT_OF_TIME, False, ("DEADLINE_EXCEEDED", "")),
        (AWAY, True, ("UNAVAILABLE", "")),
    ],
)
async def test_a_peer_is_not_blamed_for_a_callers_haste(
    act: Act, hurried: bool, expected: tuple[str, str]
) -> None:
    telemetry = Telemetry()
    call = Call("r-1", "0af7651916cd43dd8448eb211c80319c", time.monotonic() + 5, hurried=hurried)
    async with served(act) as last, peer(last.ports.grpc, telemetry=telemetry) as next_one:
        with within(call), pytest.raises(errors.AppError) as raised:
            await next_one.unary(method(next_one.channel), "hello")
    assert status.code(raised.value).name == expected[0]
    assert counted(telemetry.metrics.registry, MADE) == {expected: 1}
