"""Checks by calls to the gateway: health, identity, clock, versions, models and index."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from rag.gateway.v1 import access_service_pb2 as access
from rag.gateway.v1 import answer_service_pb2 as answers
from rag_cli.diagnosis.checks import Check, advice
from rag_client.convert import access as messages
from rag_client.convert import requests
from rag_client.models.access import Identity
from rag_client.transport import calls, methods
from rag_client.transport.methods import Procedure
from rag_contract import errors

PROTOCOL = "rag.gateway.v1"

# Clock differences in seconds: the first is reported, from the second on tokens are refused.
_SKEW_WARNING = 5.0
_SKEW_FAILURE = 60.0

_HEALTH: Procedure[Any, Any] = Procedure(
    "/grpc.health.v1.Health/Check",
    True,
    health_pb2.HealthCheckRequest,
    health_pb2.HealthCheckResponse,
)


@dataclass(frozen=True, slots=True)
class Reply:
    """The result of one call: message or error, headers, and its start and end in seconds since 1970."""

    message: Any
    error: errors.AppError | None
    headers: Mapping[str, str]
    start: float
    end: float

    @property
    def skew(self) -> float | None:
        """Seconds by which this machine's clock is ahead of the server's; None without a date header."""
        try:
            date = parsedate_to_datetime(self.headers.get("date", "")).timestamp()
        except ValueError:
            return None
        # The header has whole seconds: on average the server's clock is half a second later.
        return (self.start + self.end) / 2 - (date + 0.5)


@dataclass(slots=True)
class GatewayProbe:
    """Calls a gateway, with a deadline of `timeout` seconds each, and stores the replies."""

    channel: grpc.Channel
    token: str
    timeout: float
    replies: list[Reply] = field(default_factory=list)

    def call(self, procedure: Procedure[Any, Any], request: Any) -> Reply:
        """Call once. Raises nothing: the reply holds the error."""
        method = procedure.bind(self.channel.unary_unary)
        start = time.time()
        message, error = None, None
        call: Any
        try:
            message, call = method.with_call(
                request, timeout=self.timeout, metadata=calls.metadata(self.token, {})
            )
        except grpc.RpcError as rpc_error:
            call, error = rpc_error, calls.app_error(rpc_error)
        pairs = [*(call.initial_metadata() or ()), *(call.trailing_metadata() or ())]
        headers = {key: value for key, value in pairs if isinstance(value, str)}
        reply = Reply(message, error, headers, start, time.time())
        self.replies.append(reply)
        return reply


def health_check(probe: GatewayProbe) -> Check:
    """Whether the gateway reports that it serves; not every proxy forwards this call."""
    reply = probe.call(_HEALTH, health_pb2.HealthCheckRequest())
    if isinstance(reply.error, errors.Unimplemented | errors.Unauthenticated | errors.NotFound):
        return Check("health", "skipped", "not available at this address; see the next checks")
    if reply.error:
        return _failed("health", reply.error)
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(reply.message.status)
    if reply.message.status == health_pb2.HealthCheckResponse.SERVING:
        return Check("health", "ok", f"the gateway is {status}")
    return Check(
        "health",
        "failure",
        f"the gateway is {status}",
        "it is waiting for the embedder, retriever, keys or index: see rag top and the services' logs",
    )


def identity_check(probe: GatewayProbe) -> tuple[Check, Identity | None]:
    """The caller's identity; None if the call fails."""
    reply = probe.call(methods.GET_IDENTITY, access.GetIdentityRequest())
    if reply.error:
        return _failed("identity", reply.error), None
    who = messages.identity(reply.message)
    collections = ", ".join(who.collections) or "all"
    detail = (
        f"{who.subject} of tenant {who.tenant}; scopes {', '.join(who.scopes) or 'none'}; "
        f"collections {collections}; tier {who.tier or 'default'}"
    )
    if not who.scopes:
        missing = "ask an administrator for a credential with scopes"
        return Check("identity", "warning", detail, missing), who
    return Check("identity", "ok", detail), who


def clock_check(probe: GatewayProbe) -> Check:
    """The difference between this machine's clock and the server's."""
    skews = [skew for reply in probe.replies if (skew := reply.skew) is not None]
    if not skews:
        return Check("clock", "skipped", "the server's replies have no date")
    skew = min(skews, key=abs)
    side = "ahead of" if skew > 0 else "behind"
    if abs(skew) <= 1.0:
        return Check("clock", "ok", "equal to the server's, within a second")
    detail = f"{abs(skew):,.0f} s {side} the server's"
    set_it = "correct the clock that is wrong, for example by NTP: timedatectl set-ntp true"
    if abs(skew) > _SKEW_FAILURE:
        return Check("clock", "failure", f"{detail}: tokens and certificates are refused", set_it)
    if abs(skew) > _SKEW_WARNING:
        return Check("clock", "warning", detail, set_it)
    return Check("clock", "ok", detail)


def model_checks(probe: GatewayProbe, version: str, scopes: tuple[str, ...]) -> Iterator[Check]:
    """Versions, models, and whether the index was created by the embedder's model."""
    reply = probe.call(methods.GET_CAPABILITIES, answers.GetCapabilitiesRequest())
    if reply.error:
        yield _failed("versions", reply.error)
        return
    offered: answers.GetCapabilitiesResponse = reply.message
    yield _version_check(version, offered.version)
    yield _models_check(offered)
    yield _index_check(probe, offered.embedding.fingerprint, scopes)


def _version_check(own: str, server: str) -> Check:
    detail = f"client {own}, server {server or 'unknown'}, protocol {PROTOCOL}"
    if own.split(".")[:2] == server.split(".")[:2]:
        return Check("versions", "ok", detail)
    return Check("versions", "warning", detail, "install the client of the server's version")


def _models_check(offered: answers.GetCapabilitiesResponse) -> Check:
    embedding = offered.embedding
    detail = (
        f"embedder {embedding.model} ({embedding.dimensions} dimensions); "
        f"reranker {offered.reranker or 'none'}; "
        f"generator {', '.join(offered.generation_models) or 'none'}"
    )
    if offered.generation_models:
        return Check("models", "ok", detail)
    return Check(
        "models", "warning", detail, "start the generator: without it answers are only quotes"
    )


def _index_check(probe: GatewayProbe, fingerprint: str, scopes: tuple[str, ...]) -> Check:
    if not {"search", "admin"} & set(scopes):
        return Check("index", "skipped", "the credential may not search")
    reply = probe.call(methods.SEARCH, requests.search("rag doctor", {"top_k": 1}))
    if reply.error:
        return _failed("index", reply.error)
    origin = reply.message.provenance
    if fingerprint and origin.embedding_fingerprint not in ("", fingerprint):
        detail = f"created by {origin.embedding_fingerprint}, but the embedder is {fingerprint}"
        again = "ingest the documents again, or configure the model that created the index"
        return Check("index", "failure", detail, again)
    detail = f"fits the model ({fingerprint or 'no fingerprint'})"
    if origin.degraded:
        unavailable = ", ".join(origin.degraded)
        see = "see rag top, and the logs of these parts"
        return Check("index", "warning", f"{detail}; searched without {unavailable}", see)
    return Check("index", "ok", detail)


def _failed(name: str, error: errors.AppError) -> Check:
    trace = f", trace {error.trace_id}" if error.trace_id else ""
    return Check(name, "failure", f"{error.message} ({error.reason}{trace})", advice(error))
