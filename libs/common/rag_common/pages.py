"""The plaintext HTTP port: liveness, readiness with each check named, and what a service adds."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

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


@asynccontextmanager
async def served(host: str, port: int, pages: Pages) -> AsyncIterator[int]:
    """Answer `GET path` with the page of that path; gives the port. Raises OSError where it is taken."""
    application = web.Application(client_max_size=_MOST_BYTES)
    for path, page in pages.items():
        application.router.add_get(path, _handler(page))
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
        made = await page()
        headers = {**_HEADERS, "content-type": made.media_type}
        return web.Response(body=made.body, status=made.status, headers=headers)

    return handle
