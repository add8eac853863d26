"""The plaintext HTTP port: pages that anybody in its network may read, and orders from this machine alone."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from rag_common.settings import is_loopback

# What a browser or a proxy may do with a page of ours: nothing but show it once.
_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_MOST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Page:
    """What an HTTP client gets."""

    body: bytes
    status: int = 200
    media_type: str = "application/json"


Pages = Mapping[str, Callable[[], Awaitable[Page]]]
# What is done with the JSON object that comes with an order.
Order = Callable[[Mapping[str, Any]], Awaitable[Page]]
Orders = Mapping[str, Order]


@asynccontextmanager
async def served(
    host: str, port: int, pages: Pages, orders: Orders | None = None
) -> AsyncIterator[int]:
    """Answer `GET path` with the page of that path, and `PUT path` by its order; gives the port.

    Raises OSError where it is taken.
    """
    application = web.Application(client_max_size=_MOST_BYTES)
    for path, page in pages.items():
        application.router.add_get(path, _handler(page))
    for path, order in (orders or {}).items():
        application.router.add_put(path, _taker(order))
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
        raise OSError(f"port {port} of {host} is taken or not ours to open") from error
    opened: int = runner.addresses[0][1]
    return opened


def _handler(
    page: Callable[[], Awaitable[Page]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(_request: web.Request) -> web.Response:
        return _response(await page())

    return handle


def _taker(order: Order) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        # By its own name too: a name of somebody else's may be made to lead here.
        host = (request.host or "").rpartition(":")[0] or request.host
        if not is_loopback(request.remote or "") or not is_loopback(host.strip("[]")):
            return _response(_page("orders are taken from this machine alone", 403))
        # A web page of somebody else's can send no such type without asking first.
        if request.content_type != "application/json":
            return _response(_page("an order is application/json", 415))
        try:
            told = json.loads(await request.text())
        except ValueError:
            told = None
        if not isinstance(told, dict):
            return _response(_page("an order is a JSON object", 400))
        return _response(await order(told))

    return handle


def _page(error: str, status: int) -> Page:
    return Page(f"{json.dumps({'error': error})}\n".encode(), status)


def _response(page: Page) -> web.Response:
    headers = {**_HEADERS, "content-type": page.media_type}
    return web.Response(body=page.body, status=page.status, headers=headers)
