"""Readiness: what the checks say is what health says."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from rag_common import errors
from rag_common.rpc.health import Check, Needs, Readiness
from tests.rpc import NAME, Served, call, logged, served
from tests.waiting import until

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Need:
    """Something that the service needs, there until it is taken away."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    async def __call__(self) -> None:
        if self.error:
            raise self.error


async def hang() -> None:
    await asyncio.Event().wait()


def readiness(**checks: Check) -> tuple[Readiness, health.aio.HealthServicer]:
    servicer = health.aio.HealthServicer()
    return Readiness(servicer, [NAME], Needs(checks, {})), servicer


async def status_of(servicer: health.aio.HealthServicer, name: str = "") -> int:
    reply = await servicer.Check(health_pb2.HealthCheckRequest(service=name), None)
    return int(reply.status)


async def watched(service: Served, name: str = "") -> AsyncIterator[int]:
    stub = health_pb2_grpc.HealthStub(service.channel)
    async for reply in stub.Watch(health_pb2.HealthCheckRequest(service=name)):
        yield reply.status


async def test_serving_follows_the_checks() -> None:
    index = Need()
    ready, servicer = readiness(index=index)
    said = []
    for error in (None, errors.Unavailable("down"), ValueError("?"), None):
        index.error = error
        await ready.check()
        said.append(await status_of(servicer))
    assert said == [SERVING, NOT_SERVING, NOT_SERVING, SERVING]


async def test_one_failing_check_is_enough() -> None:
    down = Need()
    down.error = errors.Unavailable("down")
    ready, servicer = readiness(index=Need(), model=down)
    await ready.check()
    assert await status_of(servicer) == NOT_SERVING


async def test_a_service_without_needs_serves() -> None:
    ready, servicer = readiness()
    await ready.check()
    assert await status_of(servicer) == SERVING


async def test_a_check_that_hangs_is_failing() -> None:
    ready, servicer = readiness(index=hang)
    with logged() as lines:
        await ready.check()
    assert await status_of(servicer) == NOT_SERVING
    assert lines.of("health")[0]["failing"] == {"index": "TimeoutError"}


async def test_only_changes_are_logged() -> None:
    index = Need()
    ready, _ = readiness(index=index)
    with logged() as lines:
        for error in (None, None, errors.ModelLoading("x"), errors.ModelLoading("y"), None, None):
            index.error = error
            await ready.check()
    assert [line["failing"] for line in lines.of("health")] == [{}, {"index": "MODEL_LOADING"}, {}]


async def test_the_text_of_a_failing_check_is_not_logged() -> None:
    index = Need()
    index.error = ValueError("postgres://admin:hunter2@db")
    ready, _ = readiness(index=index)
    with logged() as lines:
        await ready.check()
    assert "hunter2" not in lines.getvalue()


@pytest.mark.parametrize("name", ["", NAME])
async def test_the_whole_and_each_service_have_a_status(name: str) -> None:
    ready, servicer = readiness()
    await ready.check()
    assert await status_of(servicer, name) == SERVING


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_a_failure_is_remembered_when_it_is_over() -> None:
    index, clock = Need(), Clock()
    ready = Readiness(health.aio.HealthServicer(), [], Needs({"index": index}, {}), clock)
    for error in (errors.Unavailable("down"), None, None):
        index.error = error
        await ready.check()
        clock.now += 5
    told = ready.outcomes["index"].told(clock.now)
    assert (told["ok"], told["since_seconds"]) == (True, 10.0)
    assert (told["last_error"], told["last_error_seconds_ago"]) == ("DEPENDENCY_DOWN", 15.0)


async def test_a_check_that_names_what_lies_behind_is_told_by_it() -> None:
    secrets = Need()
    secrets.error = errors.Unavailable("Vault is not well", metadata={"error": "Sealed"})
    ready, _ = readiness(secrets=secrets)
    await ready.check()
    assert ready.outcomes["secrets"].error == "Sealed"


async def test_a_failure_that_goes_on_counts_from_its_first_and_its_latest_time() -> None:
    index, clock = Need(), Clock()
    index.error = errors.ModelLoading("wait")
    ready = Readiness(health.aio.HealthServicer(), [], Needs({"index": index}, {}), clock)
    for _ in range(3):
        clock.now += 5
        await ready.check()
    told = ready.outcomes["index"].told(clock.now)
    assert (told["error"], told["since_seconds"]) == ("MODEL_LOADING", 10.0)
    assert (told["last_error"], told["last_error_seconds_ago"]) == ("MODEL_LOADING", 0.0)


async def test_a_check_that_never_failed_has_no_last_error() -> None:
    ready, _ = readiness(index=Need())
    await ready.check()
    assert "last_error" not in ready.outcomes["index"].told(ready.clock())


async def test_each_check_is_a_need_or_a_want() -> None:
    needs = Needs({"index": Need()}, {"cache": Need()})
    ready = Readiness(health.aio.HealthServicer(), [], needs)
    assert ready.kinds == {"index": "need", "cache": "want"}


async def test_a_service_has_started_once_it_has_served_whatever_comes_then() -> None:
    index, wanted = Need(), Need()
    index.error, wanted.error = errors.ModelLoading("wait"), errors.Unavailable("gone")
    ready = Readiness(health.aio.HealthServicer(), [], Needs({"index": index}, {"cache": wanted}))
    said = []
    for error in (index.error, None, errors.Unavailable("down")):
        index.error = error
        await ready.check()
        said.append((ready.started, ready.serving))
    assert said == [(False, False), (True, True), (True, False)]


async def test_a_service_that_is_not_here_is_not_found() -> None:
    async with served() as service:
        stub = health_pb2_grpc.HealthStub(service.channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Check(health_pb2.HealthCheckRequest(service="test.v1.NoService"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_withdrawn_service_does_not_come_back() -> None:
    ready, servicer = readiness()
    await ready.check()
    await ready.withdraw()
    await ready.publish(SERVING)
    assert await status_of(servicer) == NOT_SERVING


async def test_a_service_serves_once_its_needs_are_met() -> None:
    index = Need()
    index.error = errors.ModelLoading("wait")
    said = []
    async with served(checks={"index": index}) as service:
        async for status in watched(service, NAME):
            said.append(status)
            index.error = None
            if status == SERVING:
                break
    assert said == [NOT_SERVING, SERVING]


async def test_the_port_for_probes_says_the_same() -> None:
    async with served() as service:
        assert [status async for status in first_serving(service)] == [SERVING]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{service.ports.health}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            reply = await stub.Check(health_pb2.HealthCheckRequest())
    assert reply.status == SERVING


async def first_serving(service: Served) -> AsyncIterator[int]:
    async for status in watched(service):
        if status == SERVING:
            yield status
            return


async def test_the_page_of_readiness_names_each_check() -> None:
    failing, wanted = Need(), Need()
    async with served(checks={"model": failing}, wants={"cache": wanted}) as service:
        url = f"http://127.0.0.1:{service.ports.http}/health"
        async with aiohttp.ClientSession() as session:

            async def page(path: str) -> tuple[int, Any]:
                async with session.get(f"{url}/{path}") as response:
                    return response.status, await response.json()

            async def says(status: int, state: str) -> bool:
                got, body = await page("ready")
                return (got, body["status"]) == (status, state)

            await until(lambda: says(200, "serving"), "ready")
            wanted.error = errors.Unavailable("gone")
            await until(lambda: says(200, "degraded"), "degraded")
            assert (await page("started"))[0] == 200
            failing.error = errors.ModelLoading("not yet")
            await until(lambda: says(503, "not_serving"), "not ready")
            _, body = await page("ready")
            model, cache = body["checks"]["model"], body["checks"]["cache"]
            assert (model["kind"], model["error"]) == ("need", "MODEL_LOADING")
            assert (cache["kind"], cache["ok"]) == ("want", False)
            assert cache["last_error"] == "DEPENDENCY_DOWN"
            assert {"milliseconds", "since_seconds", "last_error_seconds_ago"} <= set(cache)
            assert (await page("started"))[0] == 200
            assert (await page("live"))[0] == 200


async def test_the_page_of_starting_waits_for_the_first_time_that_all_is_there() -> None:
    model = Need()
    model.error = errors.ModelLoading("not yet")
    async with served(checks={"model": model}) as service, aiohttp.ClientSession() as session:

        async def started(status: int) -> bool:
            url = f"http://127.0.0.1:{service.ports.http}/health/started"
            async with session.get(url) as response:
                return response.status == status

        assert await started(503)
        model.error = None
        await until(lambda: started(200), "started")


async def test_the_page_of_metrics_counts_calls_and_refusals() -> None:
    async def act(text: str) -> str:
        raise errors.Overloaded("no", retry_after=1)

    async with served(act) as service:
        await service.failure()
        url = f"http://127.0.0.1:{service.ports.http}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            text = await response.text()
    assert f'_count{{code="UNAVAILABLE",method="{NAME}/One",tier=""}} 1.0' in text
    assert 'rag_rpc_refusals_total{reason="OVERLOADED"} 1.0' in text
    assert "rag_rpc_server_in_flight 0.0" in text


async def test_methods_that_callers_invent_do_not_become_labels() -> None:
    async with served() as service:
        for name in ("made.up.Service", "another.Service"):
            with pytest.raises(grpc.aio.AioRpcError):
                await call(service.channel, "One", "hello", name)
        url = f"http://127.0.0.1:{service.ports.http}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            text = await response.text()
    assert "made.up" not in text
    assert 'method="_OTHER"' in text
