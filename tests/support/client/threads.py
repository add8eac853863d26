"""A server in a thread of its own, for commands that run an event loop in the test's."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager


@contextmanager
def in_thread(server: AbstractAsyncContextManager[int]) -> Iterator[str]:
    """The URL of the server, which gives its port; it runs inside the block."""
    loop, stop, opened = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
    ports: list[int] = []

    async def serve() -> None:
        async with server as port:
            ports.append(port)
            opened.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    try:
        assert opened.wait(10)
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
