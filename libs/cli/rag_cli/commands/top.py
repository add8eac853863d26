"""`rag top`: live rates, latencies and queues of every service."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from rag_cli.commands.errors import report_errors

if TYPE_CHECKING:
    from rag_cli.observe.scrape import Scrape, Target
    from rag_cli.observe.services import Service

_MAX_SECONDS = 2.0
_PIPE_WIDTH = 100


def top(
    interval: Annotated[
        float, typer.Option(min=0.1, max=3600.0, help="Seconds between two measurements.")
    ] = 2.0,
    once: Annotated[
        bool, typer.Option("--once", help="Measure one interval, print one table, and exit.")
    ] = False,
    url: Annotated[
        list[str] | None,
        typer.Option(
            envvar="RAG_METRICS_URLS",
            metavar="SERVICE=URL",
            help="A service's HTTP port; repeatable. The services on this machine if omitted.",
        ),
    ] = None,
) -> None:
    """Show rates, latencies, errors, queues and checks of every service, until Ctrl-C.

    With --once, exits with 1 if a service did not answer.
    """
    with report_errors():
        import asyncio

        from rag_cli.observe.scrape import parse_targets

        targets = parse_targets(url or ())
        if once:
            _print(asyncio.run(_one_interval(targets, interval)))
            return
        # Ctrl-C is the normal way to end it.
        with suppress(KeyboardInterrupt):
            asyncio.run(_live(targets, interval))


def _print(services: "Sequence[Service]") -> None:
    from rag_cli.render.rates import rates
    from rag_cli.render.tables import console

    console(_PIPE_WIDTH).print(rates(services))
    if any(service.failure for service in services):
        raise typer.Exit(1)


async def _one_interval(targets: "Sequence[Target]", interval: float) -> "Sequence[Service]":
    snapshots = _snapshots(targets, interval)
    await anext(snapshots)
    services = await anext(snapshots)
    await snapshots.aclose()
    return services


async def _live(targets: "Sequence[Target]", interval: float) -> None:
    from rich.live import Live

    from rag_cli.render.rates import rates
    from rag_cli.render.tables import console

    out = console(_PIPE_WIDTH)
    if not out.is_terminal:
        async for services in _snapshots(targets, interval):
            out.print(rates(services), end="\n\n")
        return
    with Live(console=out, screen=True, auto_refresh=False) as screen:
        async for services in _snapshots(targets, interval):
            screen.update(rates(services), refresh=True)


async def _snapshots(
    targets: "Sequence[Target]", interval: float
) -> "AsyncGenerator[Sequence[Service], None]":
    """Yield the services every `interval` seconds, without end; the first time without rates."""
    import asyncio

    from rag_cli.observe.http_client import http_client
    from rag_cli.observe.scrape import scrape
    from rag_cli.observe.services import METRIC_PREFIXES, service

    loop = asyncio.get_running_loop()
    async with http_client() as client:
        earlier: Sequence[Scrape | None] = [None] * len(targets)
        while True:
            due = loop.time() + interval
            now = await scrape(client, targets, _MAX_SECONDS, METRIC_PREFIXES)
            yield [service(*pair) for pair in zip(earlier, now, strict=True)]
            earlier = now
            await asyncio.sleep(max(0.0, due - loop.time()))
