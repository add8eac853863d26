"""Readiness: what the checks say is what health says."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from rag_common import errors
from rag_common.rpc.health import Check, Readiness
from tests.rpc import NAME, Served, logged, served

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
    return Readiness(servicer, [NAME], checks), servicer


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
