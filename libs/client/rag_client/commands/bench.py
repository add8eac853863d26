"""`rag bench`: speed, measured through the running gateway."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag_client.commands.connection import Connection, connected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rag_client.load.run import Bench, Plan


@connected(tenant="bench")
def bench(
    connection: Connection,
    concurrency: Annotated[str, typer.Option(help="Searches at a time.")] = "1,32,256",
    streams: Annotated[str, typer.Option(help="Streamed answers at a time.")] = "1,8",
    seconds: Annotated[float, typer.Option(min=0.1, help="Seconds for each of these.")] = 15.0,
    warm_up: Annotated[float, typer.Option(min=0.0, help="Seconds before the first.")] = 3.0,
    passages: Annotated[
        int, typer.Option(min=1, help="Passages taken in, of about 300 tokens each.")
    ] = 240,
    collection: Annotated[
        str, typer.Option("--collection", "-c", help="Collection to search; the one filled here.")
    ] = "",
    queries: Annotated[
        Path | None, typer.Option(exists=True, help="JSON lines with a field text; else made up.")
    ] = None,
    pid: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=PID", help="Process to account for; repeatable."),
    ] = None,
) -> None:
    """Load the gateway: passages taken in, searches, streamed answers.

    Every query of a run is another one. What is taken in goes to a collection of its own and is
    deleted at the end.
    """
    from rag_client.load.run import Plan
    from rag_client.load.wording import questions, questions_of

    plan = Plan(
        _numbers(concurrency),
        _numbers(streams),
        seconds,
        warm_up,
        passages,
        collection,
        dict(map(_process, pid or [])),
        connection.timeout,
    )
    asked = questions_of(queries) if queries else questions()
    found = _run(connection, plan, asked)
    if connection.json:
        from rag_client.console.encoding import to_json

        print(to_json(found))
    else:
        from rag_client.console.loads import show_bench

        show_bench(found)


def _run(connection: Connection, plan: "Plan", asked: "Iterator[str]") -> "Bench":
    import asyncio
    from importlib.util import find_spec

    from_library = "uvloop" if find_spec("uvloop") else "asyncio"
    loop_factory = import_module(from_library).new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(_bench(connection, plan, asked))


async def _bench(connection: Connection, plan: "Plan", asked: "Iterator[str]") -> "Bench":
    from rag_client.console.progress import note
    from rag_client.load.run import bench as measure

    async with connection.async_client() as client, connection.gateway().open_async() as channel:
        return await measure(client, channel, _token(connection), asked, plan, note)


def _token(connection: Connection) -> Callable[[], str | None]:
    bearer = connection.bearer()
    return bearer if callable(bearer) else lambda: bearer


def _numbers(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise typer.BadParameter(f"{text!r} is no list of numbers like 1,32,256")
    return [int(part) for part in parts]


def _process(text: str) -> tuple[str, int]:
    name, sign, number = text.partition("=")
    if not name or not sign or not number.isdecimal():
        raise typer.BadParameter(f"{text!r} is not NAME=PID", param_hint="--pid")
    return name, int(number)
