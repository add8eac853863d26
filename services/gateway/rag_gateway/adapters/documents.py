"""JWKS and discovery documents: from files and URLs, of bounded size, in bounded time, from nobody else."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from rag_gateway.adapters.keys import Source

_FETCH_SECONDS = 5.0
_MOST_BYTES = 256 * 1024
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def document(place: str) -> Source:
    """The JWKS in a file or at a URL."""

    async def read() -> Mapping[str, Any]:
        if "://" in place:
            return await _fetch(place)
        return _object(await asyncio.to_thread(Path(place).read_bytes))

    return read


def require_safe(url: str) -> None:
    """Raise ValueError where what the URL gives could be forged on the way."""
    parts = urlsplit(url)
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not safe or not parts.hostname or parts.username or parts.fragment:
        raise ValueError(f"{url} must be an https URL, or http of this machine's own")


def discovered(issuer: str) -> Source:
    """The JWKS that an issuer's discovery document leads to.

    OpenID Connect Discovery 1.0, section 4.3: the document must name the very issuer asked.
    """

    async def read() -> Mapping[str, Any]:
        found = await _fetch(issuer.rstrip("/") + "/.well-known/openid-configuration")
        url = found.get("jwks_uri")
        if found.get("issuer") != issuer or not isinstance(url, str):
            raise ValueError("the discovery document is another issuer's, or names no keys")
        require_safe(url)
        if urlsplit(url).scheme != urlsplit(issuer).scheme:
            raise ValueError("the discovery document leads to another kind of place")
        return await _fetch(url)

    return read


async def _fetch(url: str) -> Mapping[str, Any]:
    """A JSON object. Redirects are not followed: who may answer is the operator's to say."""
    try:
        async with asyncio.timeout(_FETCH_SECONDS):
            # Reading the machine's roots takes long enough to be felt by every call.
            async with await asyncio.to_thread(httpx.AsyncClient) as client:
                return _object(await _content(client, url))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OSError("the URL does not answer") from error


async def _content(client: httpx.AsyncClient, url: str) -> bytes:
    content = bytearray()
    async with client.stream("GET", url, headers={"accept": "application/json"}) as reply:
        if reply.status_code != httpx.codes.OK:
            raise OSError(f"the status is {reply.status_code}")
        async for piece in reply.aiter_bytes():
            content += piece
            if len(content) > _MOST_BYTES:
                raise ValueError("the document is too large")
    return bytes(content)


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except RecursionError as error:
        raise ValueError("the document is nested too deep") from error
    if len(content) > _MOST_BYTES or not isinstance(found, dict):
        raise ValueError("this is no JSON object, or one too large")
    return found
