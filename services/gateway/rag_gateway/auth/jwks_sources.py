"""Reads JWKS and discovery documents from files and URLs, with limits on size, time and redirects."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rag_contract.hosts import is_loopback
from rag_gateway.auth.jwks import Source

# Imported at the first request: it takes 25 ms, and on a laptop the keys are in a file.
if TYPE_CHECKING:
    import httpx

_FETCH_SECONDS = 5.0
_MAX_BYTES = 256 * 1024


def jwks_document(location: str) -> Source:
    """A source that reads the JWKS in a file or at a URL."""

    async def read() -> Mapping[str, Any]:
        if "://" in location:
            return await _fetch(location)
        return _object(await asyncio.to_thread(Path(location).read_bytes))

    return read


def require_safe(url: str) -> None:
    """Raise ValueError if a response from the URL could be forged on the network."""
    parts = urlsplit(url)
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if not safe or not parts.hostname or parts.username or parts.fragment:
        raise ValueError(f"{url} must be an https URL, or an http URL of the loopback interface")


def discovered_jwks(issuer: str) -> Source:
    """A source that reads the JWKS that an issuer's discovery document refers to.

    OpenID Connect Discovery 1.0, section 4.3: the document must name exactly this issuer.
    """

    async def read() -> Mapping[str, Any]:
        metadata = await _fetch(issuer.rstrip("/") + "/.well-known/openid-configuration")
        url = metadata.get("jwks_uri")
        if metadata.get("issuer") != issuer or not isinstance(url, str):
            raise ValueError("the discovery document is of another issuer, or has no jwks_uri")
        require_safe(url)
        if urlsplit(url).scheme != urlsplit(issuer).scheme:
            raise ValueError(
                "the URL schemes of issuer and jwks_uri in the discovery document differ"
            )
        return await _fetch(url)

    return read


async def _fetch(url: str) -> Mapping[str, Any]:
    """A JSON object. Redirects are not followed: the operator chooses the server."""
    import httpx

    try:
        async with asyncio.timeout(_FETCH_SECONDS):
            # In a thread: loading the system's CA certificates would block the event loop for long.
            async with await asyncio.to_thread(httpx.AsyncClient) as client:
                return _object(await _content(client, url))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OSError("the URL does not answer") from error


async def _content(client: httpx.AsyncClient, url: str) -> bytes:
    content = bytearray()
    async with client.stream("GET", url, headers={"accept": "application/json"}) as reply:
        if reply.status_code != HTTPStatus.OK:
            raise OSError(f"the status is {reply.status_code}")
        async for piece in reply.aiter_bytes():
            content += piece
            if len(content) > _MAX_BYTES:
                raise ValueError("the document is too large")
    return bytes(content)


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(content)
    except RecursionError as error:
        raise ValueError("the document is nested too deeply") from error
    if len(content) > _MAX_BYTES or not isinstance(value, dict):
        raise ValueError("this is not a JSON object, or it is too large")
    return value
