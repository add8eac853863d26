"""Readiness: what the checks say is what health says."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from rag_common.grpc.readiness import Check, HealthChecks, Readiness
from rag_contract import errors
from tests.support.rpc import NAME, Served, call, logged, served
from tests.support.waiting import until

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
    return Readiness(servicer, [NAME], HealthChecks(checks, {})), servicer


async def status_of(servicer: health.aio.HealthServicer, name: str = "") -> int:
    reply = await servicer.Check(health_pb2.HealthCheckRequest(service=name), None)
    return int(reply.status)


async def watched(service: Served, name: str = "") -> AsyncIterator[int]:
    stub = health_pb2_grpc.HealthStub(service.channel)
    async for reply in stub.Watch(health_pb2.HealthCheckRequest(service=name)):
        yield reply.status


async def test_serving_follows_the_checks() -> None:
    index = Need()
    ready, servicer = readiness(index=index, model=Need())
    output = []
    for error in (None, errors.DependencyDown("down"), ValueError("?"), None):
        index.error = error
        await ready.check()
        output.append(await status_of(servicer))
    assert output == [SERVING, NOT_SERVING, NOT_SERVING, SERVING]


async def test_a_check_that_hangs_is_failing() -> None:
    ready, servicer = readiness(index=hang)
    with logged() as lines:
        await ready.check()
    assert await status_of(servicer) == NOT_SERVING
    assert lines.of("health")[0]["failing"] == {"index": "TimeoutError"}


async def test_only_changes_are_logged_and_not_the_text_of_an_error() -> None:
    index = Need()
    ready, _ = readiness(index=index)
    with logged() as lines:
        for error in (
            None,
            None,
            errors.ModelLoading("hunter2"),
            errors.ModelLoading("y"),
            None,
            None,
        ):
            index.error = error
            await ready.check()
    assert [line["failing"] for line in lines.of("health")] == [{}, {"index": "MODEL_LOADING"}, {}]
    assert "hunter2" not in lines.getvalue()


async def test_an_optional_check_that_fails_is_logged_and_the_service_serves() -> None:
    cache = Need()
    ready = Readiness(health.aio.HealthServicer(), [], HealthChecks({}, {"cache": cache}))
    with logged() as lines:
        for error in (None, errors.DependencyDown("gone"), None):
            cache.error = error
            await ready.check()
    states = [(line["serving"], line["degraded"]) for line in lines.of("health")]
    assert states == [(True, {}), (True, {"cache": "DEPENDENCY_DOWN"}), (True, {})]


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


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (
            (errors.DependencyDown("down"), None, None),
            {"ok": True, "since_seconds": 10.0, "last_error": "DEPENDENCY_DOWN"},
        ),
        (
            (errors.ModelLoading("wait"),) * 3,
            {"error": "MODEL_LOADING", "since_seconds": 15.0, "last_error": "MODEL_LOADING"},
        ),
    ],
    ids=["over", "goes on"],
)
async def test_a_failure_is_described_from_its_first_to_its_latest_time(
    outcomes: tuple[Exception | None, ...], expected: dict[str, Any]
) -> None:
    index, clock = Need(), Clock()
    ready = Readiness(health.aio.HealthServicer(), [], HealthChecks({"index": index}, {}), clock)
    for error in outcomes:
        index.error = error
        await ready.check()
        clock.now += 5
    facts = ready.results["index"].describe(clock.now)
    assert facts.items() >= expected.items()
    assert facts["last_error_seconds_ago"] == (15.0 if facts["ok"] else 5.0)


async def test_a_check_that_names_what_lies_behind_is_told_by_it() -> None:
    secrets = Need()
    secrets.error = errors.DependencyDown("Vault is not well", metadata={"error": "Sealed"})
    ready, _ = readiness(secrets=secrets)
    await ready.check()
    assert ready.results["secrets"].error == "Sealed"


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


async def test_both_ports_serve_once_the_needs_are_met() -> None:
    index = Need()
    index.error = errors.ModelLoading("wait")
    output = []
    async with served(checks={"index": index}) as service:
        async for status in watched(service, NAME):
            output.append(status)
            index.error = None
            if status == SERVING:
                break
        async with grpc.aio.insecure_channel(f"127.0.0.1:{service.ports.health}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            reply = await stub.Check(health_pb2.HealthCheckRequest())
    assert output == [NOT_SERVING, SERVING]
    assert reply.status == SERVING


async def test_the_page_of_readiness_names_each_check() -> None:
    failing, expected = Need(), Need()
    async with served(checks={"model": failing}, optional_checks={"cache": expected}) as service:
        url = f"http://127.0.0.1:{service.ports.http}/health"
        async with aiohttp.ClientSession() as session:

            async def page(path: str) -> tuple[int, Any]:
                async with session.get(f"{url}/{path}") as response:
                    return response.status, await response.json()

            async def says(status: int, state: str) -> bool:
                got, body = await page("ready")
                return (got, body["status"]) == (status, state)

            await until(lambda: says(200, "serving"), "ready")
            _, body = await page("ready")
            assert "last_error" not in body["checks"]["model"]
            expected.error = errors.DependencyDown("gone")
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

        async def counted() -> bool:
            """The server counts a call after it has sent its status, so perhaps not yet."""
            url = f"http://127.0.0.1:{service.ports.http}/metrics"
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                text = await response.text()
            call = f'_count{{code="UNAVAILABLE",deadline="",method="{NAME}/One",tier=""}} 1.0'
            refusal = 'rag_rpc_refusals_total{reason="OVERLOADED"} 1.0'
            return all(line in text for line in (call, refusal, "rag_rpc_server_in_flight 0.0"))

        await until(counted, "the call is counted")


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
