"""HTTP as this package reads it: a deadline, a bound on the bytes, and errors in one sentence."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit, urlunsplit

import aiohttp

_MOST_BYTES = 64 * 1024 * 1024


class Unreachable(OSError):
    """Nothing answers there, or not in time, or not as HTTP."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came."""

    status: int
    media_type: str
    body: bytes


class Fetching:
    """Reads pages; made by `fetching`. `here` is for this machine, `beyond` for all others."""

    def __init__(self, here: aiohttp.ClientSession, beyond: aiohttp.ClientSession) -> None:
        self._here = here
        self._beyond = beyond

    async def get(self, url: str, *, timeout: float) -> Reply:
        """The page. Raises Unreachable after `timeout` seconds, or where it is too large."""
        session = self._here if _is_here(url) else self._beyond
        limit = aiohttp.ClientTimeout(total=timeout)
        try:
            async with session.get(url, timeout=limit) as reply:
                return Reply(reply.status, reply.content_type, await _body(reply, url))
        except TimeoutError as error:
            raise Unreachable(f"{plain(url)} does not answer within {timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, Unreachable):
                raise
            raise Unreachable(f"{plain(url)} does not answer: {_why(error)}") from error


@asynccontextmanager
async def fetching(headers: Mapping[str, str] | None = None) -> AsyncIterator[Fetching]:
    """For all that is read; the environment's proxies are for other machines only."""
    async with (
        aiohttp.ClientSession(headers=headers, trust_env=False) as here,
        aiohttp.ClientSession(headers=headers, trust_env=True) as beyond,
    ):
        yield Fetching(here, beyond)


def plain(url: str) -> str:
    """The URL as it may be shown: without the password in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "that URL"
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _is_here(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


async def _body(reply: aiohttp.ClientResponse, url: str) -> bytes:
    body = bytearray()
    async for part in reply.content.iter_chunked(65_536):
        body += part
        if len(body) > _MOST_BYTES:
            raise Unreachable(f"{plain(url)} answers with more than {_MOST_BYTES >> 20} MiB")
    return bytes(body)


def _why(error: Exception) -> str:
    if isinstance(error, aiohttp.InvalidURL):
        return "that is no URL of HTTP"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return type(error).__name__
