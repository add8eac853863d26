"""The plaintext HTTP port: pages readable from the network, and PUT handlers for loopback clients only."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

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
    application = web.Application(client_max_size=_MAX_BYTES)
    for path, page in pages.items():
        application.router.add_get(path, _get_handler(page))
    for path, handler in (put_handlers or {}).items():
        application.router.add_put(path, _put_handler(handler))
    runner = web.AppRunner(application, access_log=None, keepalive_timeout=15.0)
    await runner.setup()
    try:
        yield await _listen(runner, host, port)
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> int:
    try:
        await web.TCPSite(runner, host, port, reuse_port=False, backlog=128).start()
    except OSError as error:
        raise OSError(f"port {port} of {host} is in use or may not be opened") from error
    opened: int = runner.addresses[0][1]
    return opened


def _get_handler(
    page: Callable[[], Awaitable[Page]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(_request: web.Request) -> web.Response:
        return _response(await page())

    return handle


def _put_handler(handler: PutHandler) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        # The Host header is checked too, against DNS rebinding.
        host = (request.host or "").rpartition(":")[0] or request.host
        if not is_loopback(request.remote or "") or not is_loopback(host.strip("[]")):
            return _response(_error_page("PUT is allowed from this machine only", 403))
        # A foreign web page cannot send this type without a CORS preflight.
        if request.content_type != "application/json":
            return _response(_error_page("the content type must be application/json", 415))
        try:
            document = json.loads(await request.text())
        except ValueError:
            document = None
        if not isinstance(document, dict):
            return _response(_error_page("the body must be a JSON object", 400))
        return _response(await handler(document))

    return handle


def _error_page(error: str, status: int) -> Page:
    return Page(f"{json.dumps({'error': error})}\n".encode(), status)


def _response(page: Page) -> web.Response:
    headers = {**_HEADERS, "content-type": page.media_type}
    return web.Response(body=page.body, status=page.status, headers=headers)
