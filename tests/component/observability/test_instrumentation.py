"""A library's own instrumentation joins a call's trace: Redis's, on the client of the gateway's quotas."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind
from redis.exceptions import ResponseError

from rag_common.observability import setup
from rag_common.observability.dependency import database
from rag_gateway.quotas.buckets import Bucket, Request
from rag_gateway.quotas.redis import RedisBuckets
from rag_gateway.redis.circuit import SharedStore
from rag_gateway.redis.connection import connected
from tests.support.quotas.stores import LEASE, PATIENT
from tests.support.receiver import by_grpc
from tests.support.recording import Recorded, below, trace_id
from tests.support.redis import RedisServer, redis_server
from tests.support.rpc import served

TRACE = "0af7651916cd43dd8448eb211c80319c"
HEADERS = [("traceparent", f"00-{TRACE}-b7ad6b7169203331-01")]
BUCKET = Bucket("requests", 100, 1.0)
TEXT = "not an integer"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as result:
        yield result


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
async def buckets(server: RedisServer, recorded: Recorded) -> AsyncIterator[RedisBuckets]:
    """The gateway's quotas in a Redis whose client is instrumented."""
    async with connected(server.url) as client:
        RedisInstrumentor.instrument_client(client, tracer_provider=recorded.provider)
        calls = database(recorded.metrics.dependencies, "redis")
        yield RedisBuckets(SharedStore(client, "test:", calls, timeout=PATIENT), "test:")


def commands(recorded: Recorded) -> list[ReadableSpan]:
    """The library's spans of commands."""
    return [
        span
        for span in recorded.kept.spans
        if span.instrumentation_scope.name == "opentelemetry.instrumentation.redis"
    ]


async def test_a_command_inside_a_call_is_a_span_below_the_call_s(
    recorded: Recorded, buckets: RedisBuckets
) -> None:
    async def search(text: str) -> str:
        await buckets.acquire("acme", [Request(BUCKET, 1)], LEASE)
        return text

    async with served(search, telemetry=recorded.telemetry) as service:
        await service.call(metadata=HEADERS)
    [call] = [span for span in recorded.kept.spans if span.kind is SpanKind.SERVER]
    assert trace_id(call) == TRACE
    [script] = [span for span in recorded.kept.spans if below(span, call)]
    assert commands(recorded)
    assert all(below(command, script) for command in commands(recorded))


async def test_commands_of_a_call_that_waits_for_another_s_are_in_its_own_trace(
    recorded: Recorded, buckets: RedisBuckets
) -> None:
    async def call(steps: int) -> None:
        with recorded.telemetry.serving("Search", None, {}):
            for _ in range(steps):
                await asyncio.sleep(0)
            await buckets.acquire("acme", [Request(BUCKET, 1)], LEASE)

    # The second comes while the first's commands are on their way.
    await asyncio.gather(call(0), call(2))
    assert len({trace_id(command) for command in commands(recorded)}) == 2


async def test_the_text_of_a_command_s_error_is_not_sent(
    monkeypatch: pytest.MonkeyPatch, server: RedisServer
) -> None:
    with by_grpc() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        telemetry = setup.configure("front", "1")
        async with connected(server.url) as client:
            RedisInstrumentor.instrument_client(client, tracer_provider=telemetry.tracer_provider)
            await client.set("text", "x")
            with telemetry.serving("Search", None, {}), pytest.raises(ResponseError, match=TEXT):
                await client.incr("text")
        telemetry.close()
        [command] = [span for span in receiver.spans("rag-front") if span.name == "INCRBY"]
    assert command.status.message == "ResponseError"
    assert [event.name for event in command.events] == ["exception"]
    assert TEXT.encode() not in receiver.bytes()
