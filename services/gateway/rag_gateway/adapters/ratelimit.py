"""Envoy's global rate limit service over the gateway's buckets: the edge asks before it lets a call in."""

import asyncio
import hashlib
import math
from collections.abc import Mapping

import grpc
import structlog

from rag.edge.v1 import rate_limit_pb2 as pb
from rag_common import errors
from rag_common.rpc.types import Context
from rag_gateway.buckets import Ask, Bucket, Buckets, Lease, reset, wait
from rag_gateway.tiers import Rate

log = structlog.get_logger()

# Envoy's own name for the service: its messages are ours in all but name.
NAME = "envoy.service.ratelimit.v3.RateLimitService"

_OK, _OVER = pb.RateLimitResponse.CODE_OK, pb.RateLimitResponse.CODE_OVER_LIMIT

# The first in which a rate is a whole number or near it.
_UNITS = (
    (1, pb.RateLimitResponse.RateLimit.UNIT_SECOND),
    (60, pb.RateLimitResponse.RateLimit.UNIT_MINUTE),
    (3600, pb.RateLimitResponse.RateLimit.UNIT_HOUR),
    (86_400, pb.RateLimitResponse.RateLimit.UNIT_DAY),
)

# In seconds; what never comes is told as a day.
_LONGEST = 86_400.0

_MOST_TOLD = 100
_MOST_DESCRIPTORS = 16


class RateLimitServicer:
    """Answers for each descriptor by the rate of its keys, such as `remote_address`.

    A descriptor that no rate is for is let through; `unknown` counts them, and each is logged once.
    """

    def __init__(self, rates: Mapping[str, Rate], buckets: Buckets) -> None:
        self._rates = rates
        self._buckets = buckets
        self._told: set[str] = set()
        self.unknown = 0

    async def ShouldRateLimit(
        self, request: pb.RateLimitRequest, context: Context
    ) -> pb.RateLimitResponse:
        if len(request.descriptors) > _MOST_DESCRIPTORS:
            raise errors.InvalidArgument.of("descriptors", f"may be {_MOST_DESCRIPTORS} at most")
        hits = request.hits_addend or 1
        answers = await asyncio.gather(*(self._answer(each, hits) for each in request.descriptors))
        statuses = [status for status, _ in answers]
        over = any(status.code == _OVER for status in statuses)
        reply = pb.RateLimitResponse(overall_code=_OVER if over else _OK, statuses=statuses)
        if over:
            seconds = min(_LONGEST, max(seconds for _, seconds in answers))
            reply.response_headers_to_add.add(key="retry-after", value=str(math.ceil(seconds)))
        return reply

    async def _answer(
        self, descriptor: pb.RateLimitDescriptor, hits: int
    ) -> tuple[pb.RateLimitResponse.DescriptorStatus, float]:
        """The status, and seconds until the call would be within the limit."""
        name = "+".join(entry.key for entry in descriptor.entries)
        rate = self._rates.get(name)
        if rate is None:
            self._tell(name)
            return pb.RateLimitResponse.DescriptorStatus(code=_OK), 0.0
        bucket = Bucket("requests", rate.capacity, rate.refill)
        ask = Ask(bucket, descriptor.hits_addend.value or hits)
        taken = await self._buckets.take(_group(name, descriptor), [ask], Lease("", 0))
        level = taken.levels[0]
        status = pb.RateLimitResponse.DescriptorStatus(
            code=_OK if taken.granted else _OVER,
            current_limit=_limit(name, rate),
            limit_remaining=min(max(0, math.floor(level)), 2**32 - 1),
        )
        status.duration_until_reset.FromMilliseconds(math.ceil(reset(bucket, level) * 1000))
        return status, 0.0 if taken.granted else wait(ask, level)

    def _tell(self, name: str) -> None:
        self.unknown += 1
        if name not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(name)
            log.warning("rate_limit_descriptor_unknown", keys=name[:128])


def add_to_server(servicer: RateLimitServicer, server: grpc.aio.Server) -> None:
    """Serve it under Envoy's name."""
    method = grpc.unary_unary_rpc_method_handler(
        servicer.ShouldRateLimit,
        pb.RateLimitRequest.FromString,
        pb.RateLimitResponse.SerializeToString,
    )
    handler = grpc.method_handlers_generic_handler(NAME, {"ShouldRateLimit": method})
    server.add_generic_rpc_handlers((handler,))


def _group(name: str, descriptor: pb.RateLimitDescriptor) -> str:
    """One group for each value; digested, as values are whatever strangers send."""
    values = "\0".join(entry.value for entry in descriptor.entries)
    return f"edge:{name}:{hashlib.sha256(values.encode()).hexdigest()[:32]}"


def _limit(name: str, rate: Rate) -> pb.RateLimitResponse.RateLimit:
    seconds, unit = next((each for each in _UNITS if rate.refill * each[0] >= 1), _UNITS[-1])
    per_unit = min(round(rate.refill * seconds), 2**32 - 1)
    return pb.RateLimitResponse.RateLimit(name=name, requests_per_unit=per_unit, unit=unit)
