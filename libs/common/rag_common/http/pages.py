"""The plaintext HTTP port: pages readable from the network, and PUT handlers for loopback clients only."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from rag_common.http.server import Request, Response, serve
from rag_contract.hosts import is_loopback

# Browsers and proxies may neither store a page nor guess its type.
_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Page:
    """An HTTP response."""

    body: bytes
    status: int = 200
    media_type: str = "application/json"


Pages = Mapping[str, Callable[[], Awaitable[Page]]]
# Handles the JSON object of a PUT request.
PutHandler = Callable[[Mapping[str, Any]], Awaitable[Page]]
PutHandlers = Mapping[str, PutHandler]


@asynccontextmanager
async def serve_http(
    host: str, port: int, pages: Pages, put_handlers: PutHandlers | None = None
) -> AsyncIterator[int]:
    """Serve `GET path` from `pages` and `PUT path` from `put_handlers`; yield the port's number.

    Raises OSError if the port is in use.
    """
    handlers = put_handlers or {}

    async def handle(request: Request) -> Response:
        return _response(await _page(request, pages, handlers))

    async with serve(host, port, handle, max_body_bytes=_MAX_BYTES) as opened:
        yield opened


async def _page(request: Request, pages: Pages, put_handlers: PutHandlers) -> Page:
    page, put = pages.get(request.path), put_handlers.get(request.path)
    if page and request.method in ("GET", "HEAD"):
        return await page()
    if put and request.method == "PUT":
        return await _put(request, put)
    if page or put:
        return _error_page("this method is not allowed", 405)
    return _error_page("there is no such page", 404)


async def _put(request: Request, handler: PutHandler) -> Page:
    # The Host header is checked too, against DNS rebinding.
    name = request.headers.get("host", "")
    host = name.rpartition(":")[0] or name
    if not is_loopback(request.client) or not is_loopback(host.strip("[]")):
        return _error_page("PUT is allowed from this machine only", 403)
    # A foreign web page cannot send this type without a CORS preflight.
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        return _error_page("the content type must be application/json", 415)
    try:
        document = json.loads(request.body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        return _error_page("the body must be a JSON object", 400)
    return await handler(document)


def _error_page(error: str, status: int) -> Page:
    return Page(f"{json.dumps({'error': error})}\n".encode(), status)


def _response(page: Page) -> Response:
    return Response(page.status, {**_HEADERS, "content-type": page.media_type}, page.body)
