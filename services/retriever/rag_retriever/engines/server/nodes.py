"""Calls to the nodes of a Qdrant deployment: failed reads are retried, writes never."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from qdrant_client import AsyncQdrantClient

from rag_common.settings import SettingsInvalid
from rag_contract.errors import Unavailable
from rag_retriever.engines.server.requests import translate_errors

_T = TypeVar("_T")

# Before each retry at the same node. gRPC fails calls at once while it waits to reconnect (0.1 s, then longer),
# so that the first retry may come too early; by the second one it has tried to connect again.
_PAUSES_SECONDS = (0.25, 0.75)
# gRPC's default maximum is two minutes, for which a recovered node would get no calls.
_RECONNECT = {
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 2000,
}


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: CA certificates that verify the server's certificate, and a client certificate with key.

    `ca_file` None means the system's CA certificates. Certificate and key must be set together.
    """

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None


class Nodes:
    """Calls go to one node until it fails, then to the next; a single node is retried.

    `timeout` in seconds is the deadline of every call, including the retries of a read.
    """

    def __init__(self, clients: Sequence[AsyncQdrantClient], timeout: float) -> None:
        self._clients = clients
        self._timeout = timeout
        self._current = 0

    async def read(self, call: Callable[[AsyncQdrantClient], Awaitable[_T]]) -> _T:
        """The result of `call`, retried if it fails. Raises IndexNotFound, Unavailable."""
        end = monotonic() + self._timeout
        alone = len(self._clients) == 1
        # Leaves time for the next node if this one hangs.
        seconds = self._timeout if alone else self._timeout / 2
        for pause in _PAUSES_SECONDS if alone else (0.0,):
            try:
                return await self._call(call, seconds)
            except Unavailable:
                if end - monotonic() <= pause:
                    raise
            await asyncio.sleep(pause)
            seconds = end - monotonic()
        return await self._call(call, seconds)

    async def write(self, call: Callable[[AsyncQdrantClient], Awaitable[_T]]) -> _T:
        """The result of `call`, not retried. Raises IndexNotFound, Unavailable.

        A write that fails may still have been applied.
        """
        return await self._call(call, self._timeout)

    async def _call(self, call: Callable[[AsyncQdrantClient], Awaitable[_T]], seconds: float) -> _T:
        node = self._current
        try:
            with translate_errors():
                async with asyncio.timeout(seconds):
                    return await call(self._clients[node])
        except Unavailable:
            if self._current == node:
                self._current = (node + 1) % len(self._clients)
            raise


@asynccontextmanager
async def connected_nodes(
    urls: Sequence[str],
    grpc_port: int,
    timeout: int,
    api_key: Callable[[], str] | None,
    tls: TlsFiles,
) -> AsyncIterator[Nodes]:
    """Connections to these nodes. Raises SettingsInvalid if a certificate's file cannot be read."""
    secure = {}
    if any(url.startswith("https:") for url in urls):
        secure = _tls_options(tls)
    clients = [
        AsyncQdrantClient(
            url=url,
            grpc_port=grpc_port,
            prefer_grpc=True,
            auth_token_provider=api_key,
            timeout=timeout,
            check_compatibility=False,
            **{"grpc_options": dict(_RECONNECT), **secure},
        )
        for url in urls
    ]
    try:
        yield Nodes(clients, timeout)
    finally:
        for client in clients:
            await client.close()


def _tls_options(tls: TlsFiles) -> dict[str, Any]:
    """TLS options for gRPC and for the few calls that the client library makes over HTTP."""
    roots, chain, key = (
        path and _read(path) for path in (tls.ca_file, tls.certificate_file, tls.key_file)
    )
    context = ssl.create_default_context(cadata=roots.decode() if roots else None)
    if tls.certificate_file:
        context.load_cert_chain(tls.certificate_file, tls.key_file)
    options = {
        **_RECONNECT,
        "root_certificates": roots,
        "certificate_chain": chain,
        "private_key": key,
    }
    return {"grpc_options": options, "verify": context}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsInvalid(f"{path}, for TLS to Qdrant, cannot be read: {error}") from error
