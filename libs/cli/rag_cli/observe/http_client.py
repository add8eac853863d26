"""An HTTP client with a timeout, a maximum response size, and errors in one sentence."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from rag_contract.hosts import is_loopback

_MAX_BYTES = 64 * 1024 * 1024


class Unreachable(OSError):
    """No valid HTTP response within the timeout."""


@dataclass(frozen=True, slots=True)
class Response:
    """Status, media type and body of a response."""

    status: int
    media_type: str
    body: bytes


class HttpClient:
    """Reads pages; created by `http_client`. Loopback addresses use `local`, all others `remote`."""

    def __init__(self, local: aiohttp.ClientSession, remote: aiohttp.ClientSession) -> None:
        self._local = local
        self._remote = remote

    async def get(self, url: str, *, timeout: float) -> Response:
        """Read a page. Raises Unreachable on failure, after `timeout` seconds, or if it is too large."""
        session = self._local if _is_local(url) else self._remote
        limit = aiohttp.ClientTimeout(total=timeout)
        try:
            async with session.get(url, timeout=limit) as reply:
                return Response(reply.status, reply.content_type, await _body(reply, url))
        except TimeoutError as error:
            raise Unreachable(f"{redact_url(url)} does not answer within {timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, Unreachable):
                raise
            raise Unreachable(f"{redact_url(url)} does not answer: {_why(error)}") from error


@asynccontextmanager
async def http_client(headers: Mapping[str, str] | None = None) -> AsyncIterator[HttpClient]:
    """Open a client; proxies of the environment are used for other machines only."""
    async with (
        aiohttp.ClientSession(headers=headers, trust_env=False) as local,
        aiohttp.ClientSession(headers=headers, trust_env=True) as remote,
    ):
        yield HttpClient(local, remote)


def redact_url(url: str) -> str:
    """The URL without user name and password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the URL"
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _is_local(url: str) -> bool:
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


async def _body(reply: aiohttp.ClientResponse, url: str) -> bytes:
    body = bytearray()
    async for part in reply.content.iter_chunked(65_536):
        body += part
        if len(body) > _MAX_BYTES:
            raise Unreachable(f"{redact_url(url)} answers with more than {_MAX_BYTES >> 20} MiB")
    return bytes(body)


def _why(error: Exception) -> str:
    if isinstance(error, aiohttp.InvalidURL):
        return "not an HTTP URL"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return type(error).__name__
