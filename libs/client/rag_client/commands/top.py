"""`rag top`: what every service does at this moment."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from rag_client.commands.failures import told

if TYPE_CHECKING:
    from rag_client.observed.looks import Look
    from rag_client.observed.services import Service
    from rag_client.observed.targets import Target

_MOST_SECONDS = 2.0


def top(
    interval: Annotated[
        float, typer.Option(min=0.1, max=3600.0, help="Seconds between two looks.")
    ] = 2.0,
    once: Annotated[
        bool, typer.Option("--once", help="Look twice, print one table, and end.")
    ] = False,
    url: Annotated[
        list[str] | None,
        typer.Option(
            envvar="RAG_METRICS_URLS",
            metavar="SERVICE=URL",
            help="Where a service's HTTP port is; repeatable. The four on this machine if left out.",
        ),
    ] = None,
) -> None:
    """Show rates, times, errors, queues and checks of every service, until Ctrl-C.

    With --once it fails where a service did not answer.
    """
    with told():
        import asyncio

        from rag_client.observed.targets import targets

        every = targets(url or ())
        if once:
            _print(asyncio.run(_twice(every, interval)))
            return
        # To interrupt it is the way to end it.
        with suppress(KeyboardInterrupt):
            asyncio.run(_live(every, interval))


def _print(services: "Sequence[Service]") -> None:
    from rag_client.console.rates import rates, rates_console

    rates_console().print(rates(services))
    if any(service.failure for service in services):
        raise typer.Exit(1)


async def _twice(every: "Sequence[Target]", interval: float) -> "Sequence[Service]":
    looks = _looks(every, interval)
    await anext(looks)
    found = await anext(looks)
    await looks.aclose()
    return found


async def _live(every: "Sequence[Target]", interval: float) -> None:
    from rich.live import Live

    from rag_client.console.rates import rates, rates_console

    out = rates_console()
    if not out.is_terminal:
        async for services in _looks(every, interval):
            out.print(rates(services), end="\n\n")
        return
    with Live(console=out, screen=True, auto_refresh=False) as screen:
        async for services in _looks(every, interval):
            screen.update(rates(services), refresh=True)


async def _looks(
    every: "Sequence[Target]", interval: float
) -> "AsyncGenerator[Sequence[Service], None]":
    """The services every `interval` seconds, for ever; the first time without rates."""
    import asyncio

    from rag_client.observed.fetching import fetching
    from rag_client.observed.looks import look
    from rag_client.observed.services import WANTED, service

    loop = asyncio.get_running_loop()
    async with fetching() as fetch:
        earlier: Sequence[Look | None] = [None] * len(every)
        while True:
            due = loop.time() + interval
            now = await look(fetch, every, _MOST_SECONDS, WANTED)
            yield [service(*pair) for pair in zip(earlier, now, strict=True)]
            earlier = now
            await asyncio.sleep(max(0.0, due - loop.time()))
