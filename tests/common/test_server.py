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

from rag_common.errors import AppError, Draining
from rag_common.rpc.server import Service, serving
from rag_common.rpc.status import from_rpc_error
from rag_common.telemetry import Telemetry
from tests.rpc import NAME, Echo, Held, Served, Settings, call, served

ROOT = Path(__file__).resolve().parents[2]
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def start(**variables: str) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.common.slow"),
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
        said = json.loads(line)
        if said["event"] == "listening":
            return int(said["port"])
    raise AssertionError("it does not listen")


async def refusal(**variables: str) -> tuple[int | None, list[str]]:
    """The exit code, and what is said."""
    process = await start(**variables)
    _, said = await process.communicate()
    # The C core says why a port cannot be had in its own words, before us.
    ours = [line for line in said.decode().splitlines() if "add_port.cc" not in line]
    return process.returncode, [line for line in ours if "absl::" not in line]


def taken() -> socket.socket:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    return listening


# Stopping


async def test_a_call_in_flight_is_answered_and_new_ones_are_until_it_is_known() -> None:
    async with slow(ECHO_DRAIN_DELAY="1") as (process, port), to(port) as channel:
        held = asyncio.create_task(call(channel, "One", "hold"))
        await call(channel, "One", "held?")
        async with statuses(channel) as said:
            await until(said, SERVING)
            process.send_signal(signal.SIGTERM)
            await until(said, NOT_SERVING)
        assert await call(channel, "One", "still here") == "still here"
        assert type(await refusal_of(channel)) is Draining
        assert process.stdin
        process.stdin.write(b"\n")
        assert await held == "hold"
        assert await process.wait() == 0


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
async def test_a_signal_stops_an_idle_service(number: int) -> None:
    async with slow() as (process, _):
        process.send_signal(number)
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


async def test_a_taken_port_is_said_in_one_sentence() -> None:
    with taken() as other:
        port = other.getsockname()[1]
        code, said = await refusal(ECHO_PORT=str(port))
    assert (code, said) == (2, [f"port {port} of 127.0.0.1 is taken or not ours to open"])


async def test_a_taken_health_port_too() -> None:
    with taken() as other:
        port = other.getsockname()[1]
        code, said = await refusal(ECHO_HEALTH_PORT=str(port))
    assert (code, said) == (2, [f"port {port} of 127.0.0.1 is taken or not ours to open"])


async def test_an_unfit_setting_is_named_in_one_sentence() -> None:
    code, said = await refusal(ECHO_GRACE="soon")
    assert code == 2
    [sentence] = said
    assert sentence.startswith("ECHO_GRACE is unfit: ")


async def test_an_unknown_variable_is_refused_by_name() -> None:
    code, said = await refusal(ECHO_GRAZE="3")
    assert (code, said) == (2, ["ECHO_GRAZE is not a setting; see docs/settings.md"])


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
        with socket.socket(socket.AF_INET6) as found:
            found.bind((host, 0))
    except OSError:
        return False
    return True


# Reflection


async def reflected(service: Served) -> set[str]:
    stub = reflection_pb2_grpc.ServerReflectionStub(service.channel)
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    replies = [reply async for reply in stub.ServerReflectionInfo(iter([ask]))]
    return {found.name for found in replies[0].list_services_response.service}


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
