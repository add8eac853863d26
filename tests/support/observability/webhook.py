"""A receiver of Alertmanager's messages that notes when each alert came."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Told:
    """An alert of a message: where it was sent to, and when it came, in seconds of Unix time."""

    path: str
    status: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    moment: float


@dataclass(slots=True)
class Webhook:
    """What has come, in its order; `url` plus a path is where to send."""

    url: str = ""
    told: list[Told] = field(default_factory=list)

    def find(self, status: str, since: float, labels: Mapping[str, str]) -> Told | None:
        """The first alert of that status since then that has at least these labels."""
        fitting = (
            reported
            for reported in self.told
            if reported.status == status
            and reported.moment >= since
            and labels.items() <= reported.labels.items()
        )
        return next(fitting, None)


@asynccontextmanager
async def webhook() -> AsyncIterator[Webhook]:
    """A receiver on a free port of this machine."""
    kept = Webhook()

    async def receive(request: web.Request) -> web.Response:
        now = time.time()
        for alert in (await request.json())["alerts"]:
            labels, annotations = alert["labels"], alert["annotations"]
            kept.told.append(Told(request.path, alert["status"], labels, annotations, now))
        return web.Response()

    app = web.Application()
    app.add_routes([web.post("/{path}", receive)])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        kept.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield kept
    finally:
        await runner.cleanup()
