"""A connection to one node of a Qdrant deployment, over gRPC."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc

from rag_common.settings import SettingsInvalid
from rag_retriever.engines.server.messages import pb
from rag_retriever.engines.server.tls import TlsFiles

_OPTIONS = (
    # gRPC's default maximum is two minutes, for which a recovered node would get no calls.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # The server limits what it sends.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
)


class Client:
    """Stubs of a node's services, on a channel of its own."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._qdrant = pb.QdrantStub(channel)  # type: ignore[no-untyped-call]
        self.grpc_points = pb.PointsStub(channel)  # type: ignore[no-untyped-call]
        self.grpc_collections = pb.CollectionsStub(channel)  # type: ignore[no-untyped-call]

    async def info(self) -> pb.HealthCheckReply:
        """The server's title and version."""
        reply: pb.HealthCheckReply = await self._qdrant.HealthCheck(pb.HealthCheckRequest())
        return reply

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


def connect(url: str, port: int, api_key: Callable[[], str] | None, tls: TlsFiles) -> Client:
    """A client of the node at the URL's host and this port, with TLS if the URL begins with https.

    Raises SettingsInvalid if a certificate's file cannot be read.
    """
    parts = urlsplit(url if "://" in url else f"//{url}")
    host = parts.hostname or ""
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    interceptors = [_Authorization(api_key)] if api_key else []
    if parts.scheme != "https":
        return Client(grpc.aio.insecure_channel(target, _OPTIONS, interceptors=interceptors))
    ca, key, certificate = (
        _read(path) for path in (tls.ca_file, tls.key_file, tls.certificate_file)
    )
    secure = grpc.ssl_channel_credentials(ca, key, certificate)
    return Client(grpc.aio.secure_channel(target, secure, _OPTIONS, interceptors=interceptors))


class _Authorization(grpc.aio.UnaryUnaryClientInterceptor):
    """Adds the API key to each call; it may change."""

    def __init__(self, api_key: Callable[[], str]) -> None:
        self._api_key = api_key

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        """Make the call with the key."""
        key = ("authorization", f"Bearer {self._api_key()}")
        metadata = grpc.aio.Metadata(*(details.metadata or ()), key)
        return await continuation(details._replace(metadata=metadata), request)


def _read(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path else None
    except OSError as error:
        raise SettingsInvalid(f"{path}, for TLS to Qdrant, cannot be read: {error}") from error
