"""The life of a service: how it refuses to start, and how it stops."""

import asyncio
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from rag_common.grpc.bootstrap import Service, serving
from rag_common.observability.setup import Telemetry
from rag_contract.errors import AppError, Draining
from rag_contract.status import from_rpc_error
from rag_local.program import free_port
from tests.support import waiting
from tests.support.rpc import NAME, Echo, Held, Served, Settings, call, served

ROOT = Path(__file__).resolve().parents[3]
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def start(**variables: str) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.common.slow"),
        cwd=ROOT,
        env={**os.environ, **variables},
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )


@asynccontextmanager
async def slow(**variables: str) -> AsyncIterator[tuple[Process, int]]:
    """The process, and where it listens; ended in any case."""
    process = await start(**variables)
    assert process.stdout
    try:
        port = await port_of(process.stdout)
        # A service whose lines nobody takes stops at the next.
        rest = asyncio.create_task(process.stdout.read())
        yield process, port
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    await rest


async def port_of(lines: asyncio.StreamReader) -> int:
    async for line in lines:
        output = json.loads(line)
        if output["event"] == "listening":
            return int(output["port"])
    raise AssertionError("it does not listen")


async def refusal(**variables: str) -> tuple[int | None, list[str]]:
    """The exit code, and what is said."""
    process = await start(**variables)
    _, output = await process.communicate()
    # The C core says why a port cannot be had in its own words, before us.
    ours = [line for line in output.decode().splitlines() if "add_port.cc" not in line]
    return process.returncode, [line for line in ours if "absl::" not in line]


# Stopping


async def test_a_call_in_flight_is_answered_and_new_ones_are_until_it_is_known() -> None:
    async with slow(ECHO_DRAIN_DELAY="1") as (process, port), to(port) as channel:
        held = asyncio.create_task(call(channel, "One", "hold"))
        await call(channel, "One", "held?")
        async with statuses(channel) as output:
            await until(output, SERVING)
            process.send_signal(signal.SIGTERM)
            await until(output, NOT_SERVING)
        assert await call(channel, "One", "still here") == "still here"
        assert type(await refusal_of(channel)) is Draining
        assert process.stdin
        process.stdin.write(b"\n")
        assert await held == "hold"
        assert await process.wait() == 0


async def test_whoever_watches_health_is_told_and_does_not_keep_it_from_stopping() -> None:
    probes = free_port()
    settings = {"ECHO_GRACE": "30", "ECHO_DRAIN_DELAY": "0", "ECHO_HEALTH_PORT": str(probes)}
    async with slow(**settings) as (process, port):
        observed: list[list[int]] = [[] for _ in range(4)]
        watching = [
            asyncio.create_task(watched(port if number % 2 else probes, statuses))
            for number, statuses in enumerate(observed)
        ]
        async with to(port) as channel:
            held = asyncio.create_task(call(channel, "One", "hold"))
            await call(channel, "One", "held?")
            await waiting.until(
                lambda: all(one[-1:] == [SERVING] for one in observed), "all are told"
            )
            process.send_signal(signal.SIGTERM)
            # They are told and let go while a call is still served; who comes now is told as well.
            async with asyncio.timeout(10):
                await asyncio.gather(*watching)
            assert type(await refusal_of(channel)) is Draining
            late: list[int] = []
            watching_late = asyncio.create_task(watched(port, late))
            await waiting.until(lambda: late, "it watches")
            assert not held.done()
            assert process.stdin
            process.stdin.write(b"\n")
            assert await held == "hold"
            async with asyncio.timeout(10):
                assert await process.wait() == 0
                await watching_late
    assert [one[-2:] for one in observed] == [[SERVING, NOT_SERVING]] * 4
    assert late == [NOT_SERVING]


async def watched(port: int, statuses: list[int]) -> None:
    """Keep all that health says on the port, until it ends the stream."""
    async with to(port) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        async for reply in watch:
            statuses.append(reply.status)


@asynccontextmanager
async def statuses(channel: grpc.aio.Channel) -> AsyncIterator[AsyncIterator[int]]:
    """What health says, as it changes."""
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
    yield (reply.status async for reply in watch)
    watch.cancel()


async def until(said: AsyncIterator[int], wanted: int) -> None:
    async for status in said:
        if status == wanted:
            return


def to(port: int) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}")


async def refusal_of(channel: grpc.aio.Channel) -> AppError:
    """Call until the service takes no more, and give the error."""
    while True:
        try:
            await call(channel, "One", "hello")
        except grpc.aio.AioRpcError as error:
            return from_rpc_error(error)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_a_service_though_a_stranger_holds_reflection_open(
    number: int,
) -> None:
    async with slow(ECHO_GRACE="30", ECHO_DRAIN_DELAY="0") as (process, port), to(port) as channel:
        talk = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
        await talk.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        assert (await talk.read()).list_services_response.service
        process.send_signal(number)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
        assert process.stderr
        assert not await process.stderr.read()


async def test_what_is_still_running_after_the_grace_is_cancelled() -> None:
    held = Held()
    async with AsyncExitStack() as outside:
        async with served(held, settings=Settings(grace=0.05)) as service:
            channel = await outside.enter_async_context(to(service.ports.grpc))
            calling = asyncio.create_task(call(channel, "One", "hello"))
            await held.begun.wait()
        await held.cancelled.wait()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await calling
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


# Starting


@pytest.mark.parametrize("name", ["ECHO_PORT", "ECHO_HEALTH_PORT"])
async def test_a_port_in_use_is_reported_in_one_sentence(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, output = await refusal(**{name: str(port)})
    assert (code, output) == (2, [f"port {port} of 127.0.0.1 is in use or may not be opened"])


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("ECHO_GRACE", "soon", "ECHO_GRACE is invalid: "),
        ("ECHO_GRAZE", "3", "ECHO_GRAZE is not a setting; see docs/settings.md"),
    ],
)
async def test_an_invalid_setting_is_named_in_one_sentence(
    name: str, value: str, expected: str
) -> None:
    code, [sentence] = await refusal(**{name: value})
    assert code == 2
    assert sentence.startswith(expected)


async def test_two_services_do_not_share_a_port() -> None:
    async with served() as service:
        with pytest.raises(OSError, match=str(service.ports.grpc)):
            async with served(settings=Settings(port=service.ports.grpc)):
                pass


async def test_an_address_of_the_sixth_version_is_listened_on() -> None:
    if not can_listen("::1"):
        pytest.skip("this machine has no IPv6")
    async with (
        serving([Service(NAME, Echo().add, None)], Settings(host="::1"), Telemetry()) as ports,
        grpc.aio.insecure_channel(f"[::1]:{ports.grpc}") as channel,
    ):
        assert await call(channel, "One", "hello") == "hello"


def can_listen(host: str) -> bool:
    try:
        with socket.socket(socket.AF_INET6) as result:
            result.bind((host, 0))
    except OSError:
        return False
    return True


# Reflection


async def reflected(service: Served) -> set[str]:
    stub = reflection_pb2_grpc.ServerReflectionStub(service.channel)
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    replies = [reply async for reply in stub.ServerReflectionInfo(iter([ask]))]
    return {result.name for result in replies[0].list_services_response.service}


async def test_reflection_names_the_services() -> None:
    async with served() as service:
        assert await reflected(service) == {
            NAME,
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
        }


async def test_without_reflection_nothing_is_named() -> None:
    async with served(settings=Settings(reflection=False)) as service:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await reflected(service)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
