"""What a stranger can hold at the edge: never the room of those who have a credential."""

import asyncio
from pathlib import Path

from grpc_health.v1 import health_pb2, health_pb2_grpc

from rag.gateway.v1 import access_service_pb2 as access
from rag.gateway.v1.access_service_pb2_grpc import AccessServiceStub
from tests.support.edge.fixtures import setting

ROOM = 8


async def test_strangers_who_watch_health_take_no_room_of_calls(tmp_path: Path) -> None:
    async with setting(tmp_path, calls=ROOM) as placed, placed.channel() as channel:
        watching = health_pb2_grpc.HealthStub(placed.channel())
        held = [watching.Watch(health_pb2.HealthCheckRequest()) for _ in range(2 * ROOM)]
        await asyncio.gather(*(one.read() for one in held), return_exceptions=True)
        calling = AccessServiceStub(channel)
        try:
            await calling.GetIdentity(access.GetIdentityRequest(), metadata=placed.metadata())
        finally:
            for one in held:
                one.cancel()
        assert [one.method for one in placed.gateway.heard] == ["GetIdentity"]
