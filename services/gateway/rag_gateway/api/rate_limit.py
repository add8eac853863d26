"""Envoy's global rate limit service: the edge checks calls against the gateway's token buckets."""

import asyncio
import hashlib
import math
from collections.abc import Mapping

import grpc
import structlog

from rag.edge.v1 import rate_limit_pb2 as pb
from rag_common.grpc.types import Context
from rag_contract import errors
from rag_gateway.leases import Lease
from rag_gateway.quotas.buckets import Bucket, Buckets, Request, reset, wait
from rag_gateway.quotas.tiers import Rate

log = structlog.get_logger()

# Envoy's name of the service. Our messages differ from Envoy's in their names alone.
NAME = "envoy.service.ratelimit.v3.RateLimitService"

_OK, _OVER = pb.RateLimitResponse.CODE_OK, pb.RateLimitResponse.CODE_OVER_LIMIT

# The smallest unit in which a rate is at least 1 is used.
_UNITS = (
    (1, pb.RateLimitResponse.RateLimit.UNIT_SECOND),
    (60, pb.RateLimitResponse.RateLimit.UNIT_MINUTE),
    (3600, pb.RateLimitResponse.RateLimit.UNIT_HOUR),
    (86_400, pb.RateLimitResponse.RateLimit.UNIT_DAY),
)

# In seconds. A call that will never be within the limit is reported as a day.
_MAX_RETRY_AFTER = 86_400.0

_MAX_LOGGED = 100
_MAX_DESCRIPTORS = 16


class RateLimitServicer:
    """Checks each descriptor against the rate that is configured for its keys, such as `remote_address`.

    A descriptor without a configured rate is allowed; `unknown` counts them, and each is logged once.
    """

    def __init__(self, rates: Mapping[str, Rate], buckets: Buckets) -> None:
        self._rates = rates
        self._buckets = buckets
        self._logged: set[str] = set()
        self.unknown = 0

    async def ShouldRateLimit(
        self, request: pb.RateLimitRequest, context: Context
    ) -> pb.RateLimitResponse:
        if len(request.descriptors) > _MAX_DESCRIPTORS:
            raise errors.FieldInvalid.of("descriptors", f"may be {_MAX_DESCRIPTORS} at most")
        hits = request.hits_addend or 1
        results = await asyncio.gather(*(self._check(each, hits) for each in request.descriptors))
        statuses = [status for status, _ in results]
        over = any(status.code == _OVER for status in statuses)
        response = pb.RateLimitResponse(overall_code=_OVER if over else _OK, statuses=statuses)
        if over:
            seconds = min(_MAX_RETRY_AFTER, max(seconds for _, seconds in results))
            response.response_headers_to_add.add(key="retry-after", value=str(math.ceil(seconds)))
        return response

    async def _check(
        self, descriptor: pb.RateLimitDescriptor, hits: int
    ) -> tuple[pb.RateLimitResponse.DescriptorStatus, float]:
        """The status, and the seconds until the call would be within the limit."""
        name = "+".join(entry.key for entry in descriptor.entries)
        rate = self._rates.get(name)
        if rate is None:
            self._log_unknown(name)
            return pb.RateLimitResponse.DescriptorStatus(code=_OK), 0.0
        bucket = Bucket("requests", rate.capacity, rate.refill)
        wanted = Request(bucket, descriptor.hits_addend.value or hits)
        decision = await self._buckets.acquire(_group(name, descriptor), [wanted], Lease("", 0))
        level = decision.levels[0]
        status = pb.RateLimitResponse.DescriptorStatus(
            code=_OK if decision.granted else _OVER,
            current_limit=_limit(name, rate),
            limit_remaining=min(max(0, math.floor(level)), 2**32 - 1),
        )
        status.duration_until_reset.FromMilliseconds(math.ceil(reset(bucket, level) * 1000))
        return status, 0.0 if decision.granted else wait(wanted, level)

    def _log_unknown(self, name: str) -> None:
        self.unknown += 1
        if name not in self._logged and len(self._logged) < _MAX_LOGGED:
            self._logged.add(name)
            log.warning("rate_limit_descriptor_unknown", keys=name[:128])


def add_to_server(servicer: RateLimitServicer, server: grpc.aio.Server) -> None:
    """Register the servicer under Envoy's name of the service."""
    method = grpc.unary_unary_rpc_method_handler(
        servicer.ShouldRateLimit,
        pb.RateLimitRequest.FromString,
        pb.RateLimitResponse.SerializeToString,
    )
    handler = grpc.method_handlers_generic_handler(NAME, {"ShouldRateLimit": method})
    server.add_generic_rpc_handlers((handler,))


def _group(name: str, descriptor: pb.RateLimitDescriptor) -> str:
    """One group of buckets for each value; a digest, because values are untrusted input of any form."""
    values = "\0".join(entry.value for entry in descriptor.entries)
    return f"edge:{name}:{hashlib.sha256(values.encode()).hexdigest()[:32]}"


def _limit(name: str, rate: Rate) -> pb.RateLimitResponse.RateLimit:
    seconds, unit = next((each for each in _UNITS if rate.refill * each[0] >= 1), _UNITS[-1])
    per_unit = min(round(rate.refill * seconds), 2**32 - 1)
    return pb.RateLimitResponse.RateLimit(name=name, requests_per_unit=per_unit, unit=unit)
