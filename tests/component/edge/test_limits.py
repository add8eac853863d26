"""How much and how long: rates of the edge's own and of the gateway's, and the ends of calls."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from rag.gateway.v1 import access_service_pb2 as access
from rag.gateway.v1 import answer_service_pb2 as answers
from rag.gateway.v1.access_service_pb2_grpc import AccessServiceStub
from rag.gateway.v1.answer_service_pb2_grpc import AnswerServiceStub
from rag_contract import errors
from rag_contract.status import from_rpc_error
from tests.component.edge.test_json import reasons
from tests.support.edge.fixtures import Setting, setting


async def ask(placed: Setting, channel: grpc.aio.Channel, **claims: Any) -> errors.AppError | None:
    """The error of a call, None where it is answered."""
    stub: Any = AccessServiceStub(channel)
    try:
        await stub.GetIdentity(
            access.GetIdentityRequest(), metadata=placed.metadata(**claims), timeout=20
        )
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error)
    return None


async def test_one_connection_cannot_take_everything(tmp_path: Path) -> None:
    async with (
        setting(tmp_path, connection_rate=10) as placed,
        placed.channel() as greedy,
        placed.channel() as modest,
    ):
        result = await asyncio.gather(*(ask(placed, greedy) for _ in range(60)))
        refused = [one for one in result if one]
        assert 0 < len(refused) < 60
        assert {type(one) for one in refused} == {errors.RateLimited}
        assert {one.retry_after for one in refused} == {1.0}
        assert [await ask(placed, modest) for _ in range(5)] == [None] * 5


async def test_all_connections_together_have_a_rate(tmp_path: Path) -> None:
    async with setting(tmp_path, listener_rate=10) as placed:
        result = []
        for _ in range(12):
            async with placed.http() as http:
                replies = [await http.get("/health/live") for _ in range(4)]
                result += [reply.status_code for reply in replies]
        assert set(result) == {200, 429}


KEY = {"authorization": "Bearer rag_k_s"}
STRANGER = [[("stranger", "true"), ("remote_address", "127.0.0.1")]]


async def test_the_gateway_decides_about_callers_that_the_edge_does_not_know(
    placed: Setting, http: httpx.AsyncClient
) -> None:
    await http.get("/v1/identity", headers=KEY)
    [request] = placed.gateway.limited
    assert request.domain == "rag-edge"
    entries = [[(e.key, e.value) for e in one.entries] for one in request.descriptors]
    assert entries == STRANGER


async def test_json_is_limited_like_grpc(placed: Setting, http: httpx.AsyncClient) -> None:
    placed.gateway.over = lambda entries: "stranger" in entries
    reply = await http.get("/v1/identity", headers=KEY)
    assert reply.status_code == 429
    assert reasons(reply)["ErrorInfo"]["reason"] == "RATE_LIMITED"
    assert reasons(reply)["RetryInfo"]["retryDelay"] == "1s"
    assert not placed.gateway.heard


async def test_callers_whose_token_was_checked_are_counted_by_the_gateway_alone(
    placed: Setting, channel: grpc.aio.Channel
) -> None:
    """It knows tenant and credential; to be asked twice for each call would cost it a millisecond."""
    assert await ask(placed, channel, tenant="modest") is None
    assert [heard.method for heard in placed.gateway.heard] == ["GetIdentity"]
    assert not placed.gateway.limited


async def test_probes_are_not_counted(placed: Setting, http: httpx.AsyncClient) -> None:
    placed.gateway.over = lambda _entries: True
    assert (await http.get("/health/live")).status_code == 200
    assert (await http.get("/health/ready")).status_code == 200
    assert not placed.gateway.limited


async def test_where_nobody_counts_calls_go_on(tmp_path: Path) -> None:
    async with (
        setting(tmp_path, limiters=["127.0.0.1:1"]) as placed,
        placed.http() as http,
    ):
        assert (await http.get("/v1/identity", headers=KEY)).status_code == 200
        assert placed.edge.stat("cluster.limits.upstream_cx_connect_fail")


async def deltas(pauses: list[float]) -> AsyncIterator[answers.StreamAnswerResponse]:
    for pause in pauses:
        await asyncio.sleep(pause)
        yield answers.StreamAnswerResponse(heartbeat=answers.Heartbeat())


async def heard_out(placed: Setting, channel: grpc.aio.Channel) -> int:
    """How many events a stream brings. Raises grpc.aio.AioRpcError."""
    stub: Any = AnswerServiceStub(channel)
    call = stub.StreamAnswer(answers.StreamAnswerRequest(), metadata=placed.metadata())
    return len([event async for event in call])


async def test_silence_ends_a_stream_but_no_call_with_one_reply(tmp_path: Path) -> None:
    """A stream with heartbeats, and a call by gRPC and JSON, last longer than a stream may be silent."""
    async with (
        setting(tmp_path, stream_idle_timeout="0.5s") as placed,
        placed.channel() as channel,
        placed.http() as http,
    ):
        placed.gateway.says("StreamAnswer", deltas([0.1] * 15))
        assert await heard_out(placed, channel) == 15
        placed.gateway.says("StreamAnswer", deltas([0, 60]))
        with pytest.raises(grpc.aio.AioRpcError):
            await heard_out(placed, channel)

        async def slow(_request: Any) -> None:
            await asyncio.sleep(1)

        placed.gateway.does("GetIdentity", slow)
        by_json = http.get("/v1/identity", headers=placed.headers())
        error, reply = await asyncio.gather(ask(placed, channel), by_json)
        assert (error, reply.status_code) == (None, 200)


async def test_no_call_is_longer_than_the_longest(tmp_path: Path) -> None:
    async with setting(tmp_path, longest_call="0.5s") as placed, placed.channel() as channel:
        placed.gateway.says("StreamAnswer", deltas([0.1] * 50))
        with pytest.raises(grpc.aio.AioRpcError):
            await heard_out(placed, channel)


async def test_more_calls_than_the_gateway_may_have_are_refused_at_once(tmp_path: Path) -> None:
    async with setting(tmp_path, calls=4) as placed, placed.channel() as channel:
        free = asyncio.Event()

        async def held(_request: Any) -> None:
            await free.wait()

        placed.gateway.does("GetIdentity", held)
        calls = [asyncio.create_task(ask(placed, channel)) for _ in range(12)]
        done, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        assert all(isinstance(call.result(), errors.Unavailable) for call in done)
        free.set()
        result = [await call for call in waiting]
        assert result.count(None) >= 4
