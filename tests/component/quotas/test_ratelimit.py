"""Envoy's rate limit service, called as Envoy calls it: over a real channel with its own messages."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from rag.edge.v1 import rate_limit_pb2 as pb
from rag_gateway.api.rate_limit import NAME, RateLimitServicer, add_to_server
from rag_gateway.quotas.buckets import Buckets
from rag_gateway.quotas.config import read
from rag_gateway.quotas.memory import LocalBuckets
from rag_gateway.quotas.tiers import Rate
from tests.support.clock import Clock
from tests.support.rpc import logged

OK, OVER = pb.RateLimitResponse.CODE_OK, pb.RateLimitResponse.CODE_OVER_LIMIT
RATES = {
    "remote_address": Rate(3, 0.5),
    "tenant": Rate(100, 50.0),
    "tenant+path": Rate(1, 1.0),
}

Entries = list[tuple[str, str]]


@pytest.fixture
def buckets(clock: Clock) -> Buckets:
    return LocalBuckets(clock)


@pytest.fixture
def servicer(buckets: Buckets) -> RateLimitServicer:
    return RateLimitServicer(RATES, buckets)


@pytest.fixture
async def envoy(servicer: RateLimitServicer) -> AsyncIterator[Any]:
    """The method as Envoy calls it: by Envoy's name for it."""
    server = grpc.aio.server()
    add_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel.unary_unary(
            f"/{NAME}/ShouldRateLimit",
            pb.RateLimitRequest.SerializeToString,
            pb.RateLimitResponse.FromString,
        )
    await server.stop(None)


async def ask(envoy: Any, *descriptors: Entries, hits: int = 0, own_hits: int = 0) -> Any:
    request = pb.RateLimitRequest(domain="rag", hits_addend=hits)
    for entries in descriptors:
        descriptor = request.descriptors.add()
        if own_hits:
            descriptor.hits_addend.value = own_hits
        for key, value in entries:
            descriptor.entries.add(key=key, value=value)
    return await envoy(request)


def address(value: str) -> Entries:
    return [("remote_address", value)]


async def test_an_address_over_its_rate_is_over_the_limit_until_it_has_waited(
    envoy: Any, clock: Clock
) -> None:
    left = [await ask(envoy, address("1.2.3.4")) for _ in range(3)]
    assert [reply.overall_code for reply in left] == [OK] * 3
    assert [reply.statuses[0].limit_remaining for reply in left] == [2, 1, 0]
    over = await ask(envoy, address("1.2.3.4"))
    assert (over.overall_code, over.statuses[0].code) == (OVER, OVER)
    assert over.statuses[0].duration_until_reset.ToMilliseconds() == 6000
    assert [(each.key, each.value) for each in over.response_headers_to_add] == [
        ("retry-after", "2")
    ]
    assert (await ask(envoy, address("1.2.3.5"))).overall_code == OK
    clock.now += 2
    assert (await ask(envoy, address("1.2.3.4"))).overall_code == OK


async def test_each_descriptor_has_its_status_and_one_over_is_enough(envoy: Any) -> None:
    await ask(envoy, address("1.2.3.4"), hits=3)
    reply = await ask(envoy, [("tenant", "acme")], address("1.2.3.4"))
    assert [status.code for status in reply.statuses] == [OK, OVER]
    assert reply.overall_code == OVER


async def test_several_keys_are_one_descriptor(envoy: Any) -> None:
    both = [("tenant", "acme"), ("path", "/v1/search")]
    other = [("tenant", "acme"), ("path", "/v1/answer")]
    codes = [(await ask(envoy, each)).overall_code for each in (both, both, other)]
    assert codes == [OK, OVER, OK]


async def test_a_limit_is_told_in_the_unit_in_which_it_is_whole(envoy: Any) -> None:
    reply = await ask(envoy, address("1.2.3.4"), [("tenant", "acme")])
    unit = pb.RateLimitResponse.RateLimit
    reported = [(s.current_limit.requests_per_unit, s.current_limit.unit) for s in reply.statuses]
    assert reported == [(30, unit.UNIT_MINUTE), (50, unit.UNIT_SECOND)]


async def test_a_descriptor_that_nobody_knows_passes_and_is_told_once(
    envoy: Any, servicer: RateLimitServicer
) -> None:
    with logged() as lines:
        replies = [await ask(envoy, [("colour", "red")], []) for _ in range(3)]
    assert {reply.overall_code for reply in replies} == {OK}
    assert servicer.unknown == 6
    reported = [line["keys"] for line in lines.of("rate_limit_descriptor_unknown")]
    assert sorted(reported) == ["", "colour"]


async def test_a_descriptor_may_count_for_more_than_the_call(envoy: Any) -> None:
    reply = await ask(envoy, address("1.2.3.4"), hits=1, own_hits=3)
    assert reply.statuses[0].limit_remaining == 0
    # More than there may ever be: to come again in a day.
    reply = await ask(envoy, address("1.2.3.5"), hits=4)
    assert [each.value for each in reply.response_headers_to_add] == ["86400"]
    assert (await ask(envoy, address("1.2.3.5"))).statuses[0].limit_remaining == 2


async def test_the_edges_buckets_are_apart_from_a_tenants(envoy: Any, buckets: Any) -> None:
    await ask(envoy, [("tenant", "acme")])
    assert not [group for group, _ in buckets._levels if not group.startswith("edge:")]


def test_the_rates_that_come_with_the_gateway_are_for_what_our_edge_sends() -> None:
    assert set(read().edge) == {"stranger+remote_address"}
