"""A request that no client library would send, and the server that has to outlive it."""

import asyncio
import socket
from contextlib import suppress
from functools import partial

import grpc
import h2.config
import h2.connection
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.component.common.test_server import slow
from tests.support.rpc import served
from tests.support.waiting import until

SERVING = health_pb2.HealthCheckResponse.SERVING


def send(port: int, path: bytes) -> None:
    """A call of that path, and whatever comes of it."""
    config = h2.config.H2Configuration(
        client_side=True,
        header_encoding=None,
        validate_outbound_headers=False,
        normalize_outbound_headers=False,
    )
    state = h2.connection.H2Connection(config)
    state.initiate_connection()
    headers = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path)]
    headers += [(b":authority", b"x"), (b"content-type", b"application/grpc")]
    state.send_headers(1, [*headers, (b"te", b"trailers")])
    state.send_data(1, b"\0\0\0\0\0", end_stream=True)
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(state.data_to_send())
        connection.settimeout(1)
        with suppress(OSError):
            while connection.recv(65_536):
                pass


async def health(port: int) -> int:
    """What the port says of its health to a new connection."""
    new = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=new) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
    return int(reply.status)


NO_TEXT = b"/\xff/c"


@pytest.mark.parametrize("path", [NO_TEXT, b"/a\nb/c"])
async def test_a_path_that_is_no_text_does_not_end_the_health_port(path: bytes) -> None:
    async with served() as running:
        await until(partial(serving, running.ports.health), "it serves")
        await asyncio.to_thread(send, running.ports.health, path)
        assert await health(running.ports.health) == SERVING


async def test_where_it_ends_the_api_the_process_ends_too_and_is_started_anew() -> None:
    """gRPC's own loop is over then: a process that lived on would let nobody in and seem well."""
    async with slow() as (process, port):
        await asyncio.to_thread(send, port, NO_TEXT)
        async with asyncio.timeout(30):
            assert await process.wait() == 0


async def serving(port: int) -> bool:
    return await health(port) == SERVING
