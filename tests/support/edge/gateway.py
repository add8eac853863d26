"""A gateway for the edge's tests: real servers of gRPC and pages that reply as told and remember."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from jwt.algorithms import OKPAlgorithm

from rag.edge.v1 import rate_limit_pb2 as limits
from rag.gateway.v1 import access_service_pb2, answer_service_pb2, document_service_pb2
from rag_common.context import Call
from rag_common.http.pages import Page, serve_http
from rag_contract.errors import AppError
from rag_contract.status import code, message, trailers

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

_CALL = Call("request-1", TRACE, deadline=0.0)
_FILES = (
    answer_service_pb2.DESCRIPTOR,
    document_service_pb2.DESCRIPTOR,
    access_service_pb2.DESCRIPTOR,
)
SERVICES = [service for file in _FILES for service in file.services_by_name.values()]
METHODS: list[MethodDescriptor] = [method for service in SERVICES for method in service.methods]

LIMITER = "envoy.service.ratelimit.v3.RateLimitService"

# What a method does with its request, or for a stream of requests with the list of them.
Act = Callable[[Any], Awaitable[Any]]


@dataclass(frozen=True)
class Heard:
    """One call as it arrived."""

    method: str
    request: Any
    metadata: dict[str, Any]


class Signer:
    """Signs tokens with one key of its own."""

    def __init__(self, kid: str = "one", issuer: str = "rag-dev") -> None:
        self.kid = kid
        self._issuer = issuer
        self._key = Ed25519PrivateKey.generate()

    @property
    def jwk(self) -> dict[str, str]:
        """The public key."""
        created = json.loads(OKPAlgorithm.to_jwk(self._key.public_key()))
        return {**created, "kid": self.kid, "alg": "EdDSA", "use": "sig"}

    def token(self, tenant: str = "acme", **claims: Any) -> str:
        """A token; a claim of None is left out."""
        now = int(time.time())
        payload = {
            "iss": self._issuer,
            "aud": "rag",
            "sub": "tester",
            "tenant": tenant,
            "scope": "search answer ingest",
            "iat": now,
            "exp": now + 600,
            **claims,
        }
        kept = {name: value for name, value in payload.items() if value is not None}
        return jwt.encode(kept, self._key, "EdDSA", headers={"kid": self.kid})


@dataclass
class Gateway:
    """What the servers say, and what they were asked."""

    heard: list[Heard] = field(default_factory=list)
    peers: list[Any] = field(default_factory=list)
    limited: list[Any] = field(default_factory=list)
    over: Callable[[Mapping[str, str]], bool] = lambda _entries: False
    ready: bool = True
    keys: list[dict[str, str]] = field(default_factory=list)
    keys_read: int = 0
    keys_fail: bool = False
    remaining: float = 0
    acts: dict[str, Act] = field(default_factory=dict)
    # Methods that end with an error before their request has been read.
    early: dict[str, AppError] = field(default_factory=dict)
    port: int = 0
    http_port: int = 0
    health_servicer: health.aio.HealthServicer = field(default_factory=health.aio.HealthServicer)

    def calls(self, name: str) -> list[Heard]:
        """The calls of one method."""
        return [one for one in self.heard if one.method == name]

    def does(self, name: str, act: Act) -> None:
        """From now on the method replies with what `act` gives, which is a stream where it streams."""
        self.acts[name] = act

    def says(self, name: str, reply: Any) -> None:
        """From now on the method replies with this message, this list of them, or this error."""

        async def act(_request: Any) -> Any:
            if isinstance(reply, Exception):
                raise reply
            return reply

        self.acts[name] = act

    async def handle(self, name: str, request: Any, context: Any) -> Any:
        metadata = dict(context.invocation_metadata())
        self.heard.append(Heard(name, request, metadata))
        self.peers.append(context.auth_context())
        self.remaining = context.time_remaining() or 0
        try:
            return await self.acts[name](request) if name in self.acts else None
        except AppError as error:
            await context.abort(code(error), message(error), trailers(error, _CALL))

    async def limit(self, request: Any, _context: Any) -> Any:
        self.limited.append(request)
        entries = [{e.key: e.value for e in one.entries} for one in request.descriptors]
        over = any(self.over(one) for one in entries)
        reply = limits.RateLimitResponse
        return reply(overall_code=reply.CODE_OVER_LIMIT if over else reply.CODE_OK)

    async def say(self, status: int) -> None:
        """Publish the health of all services."""
        for name in ("", *(service.full_name for service in SERVICES)):
            await self.health_servicer.set(name, status)

    async def jwks(self) -> Page:
        self.keys_read += 1
        if self.keys_fail:
            return Page(b"{}", 503)
        return Page(json.dumps({"keys": self.keys}).encode())

    async def readiness(self) -> Page:
        return Page(json.dumps({"ready": self.ready}).encode(), 200 if self.ready else 503)

    async def liveness(self) -> Page:
        return Page(b'{"status":"live"}')

    async def metrics(self) -> Page:
        return Page(b"secret 1", media_type="text/plain")


@asynccontextmanager
async def gateway(
    credentials: grpc.ServerCredentials | None = None, made: Gateway | None = None
) -> AsyncIterator[Gateway]:
    """Serve on free ports, or on the ports that `made` had before."""
    made = made or Gateway()
    pages = {
        "/health/live": made.liveness,
        "/health/ready": made.readiness,
        "/.well-known/jwks.json": made.jwks,
        "/metrics": made.metrics,
    }
    async with AsyncExitStack() as stack:
        made.http_port = await stack.enter_async_context(
            serve_http("127.0.0.1", made.http_port, pages)
        )
        server = grpc.aio.server(options=[("grpc.max_receive_message_length", 16 * 2**20)])
        server.add_generic_rpc_handlers((_limiter(made), *_handlers(made)))
        health_pb2_grpc.add_HealthServicer_to_server(made.health_servicer, server)
        names = [service.full_name for service in SERVICES]
        reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server)
        address = f"127.0.0.1:{made.port}"
        if credentials:
            made.port = server.add_secure_port(address, credentials)
        else:
            made.port = server.add_insecure_port(address)
        await made.say(SERVING)
        await server.start()
        stack.push_async_callback(server.stop, 0)
        yield made


def _handlers(made: Gateway) -> Iterator[grpc.GenericRpcHandler]:
    for service in SERVICES:
        handlers = {method.name: _handler(made, method) for method in service.methods}
        yield grpc.method_handlers_generic_handler(service.full_name, handlers)


def _limiter(made: Gateway) -> grpc.GenericRpcHandler:
    reply = limits.RateLimitResponse.SerializeToString
    method = grpc.unary_unary_rpc_method_handler(
        made.limit, limits.RateLimitRequest.FromString, reply
    )
    return grpc.method_handlers_generic_handler(LIMITER, {"ShouldRateLimit": method})


def _handler(made: Gateway, method: MethodDescriptor) -> "grpc.RpcMethodHandler[Any, Any]":
    read = GetMessageClass(method.input_type).FromString
    reply_class = GetMessageClass(method.output_type)

    async def one(request: Any, context: Any) -> Message:
        if error := made.early.get(method.name):
            await context.abort(code(error), message(error), trailers(error, _CALL))
        result = request if isinstance(request, Message) else [part async for part in request]
        return await made.handle(method.name, result, context) or reply_class()

    async def stream(request: Any, context: Any) -> AsyncIterator[Message]:
        result = await made.handle(method.name, request, context) or []
        if isinstance(result, list):
            for event in result:
                yield event
            return
        async for event in result:
            yield event

    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(stream, read, reply_class.SerializeToString)
    if method.client_streaming:
        return grpc.stream_unary_rpc_method_handler(one, read, reply_class.SerializeToString)
    return grpc.unary_unary_rpc_method_handler(one, read, reply_class.SerializeToString)
