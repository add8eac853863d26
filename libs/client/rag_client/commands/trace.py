"""`rag trace`: where one call's time went, and why it failed."""

from typing import TYPE_CHECKING, Annotated

import typer

from rag_client.commands.failures import told
from rag_client.commands.shared import Json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rag_client.observed.links import Linked
    from rag_client.observed.spans import Trace


def trace(
    given: Annotated[
        str, typer.Argument(metavar="ID", help="Trace id, in any case, or a whole traceparent.")
    ],
    url: Annotated[
        str,
        typer.Option(envvar="RAG_TRACES_URL", help="Tempo, Jaeger, or the store of `make run`."),
    ] = "http://127.0.0.1:4318",
    wait: Annotated[
        float, typer.Option(min=0.0, max=600.0, help="Seconds to wait for spans that are missing.")
    ] = 5.0,
    header: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME:VALUE", help="Header to ask with; repeatable."),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every span and all attributes.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the spans of one call as a waterfall: every service, when, for how long, and errors."""
    headers = dict(map(_header, header or ()))
    with told():
        import asyncio

        from rag_client.observed.identifiers import trace_id

        found, linked = asyncio.run(_found(url, headers, trace_id(given), wait))
        if json:
            from rag_client.console.encoding import to_json
            from rag_client.observed.summaries import summary

            print(to_json({"summary": summary(found), "spans": found.spans, "linked": linked}))
        else:
            from rag_client.console.waterfall import show_trace

            show_trace(found, linked, verbose=verbose)


async def _found(
    url: str, headers: "Mapping[str, str]", trace_id: str, wait: float
) -> "tuple[Trace, Sequence[Linked]]":
    from rag_client.observed.fetching import fetching
    from rag_client.observed.links import linked
    from rag_client.observed.sources import Source

    async with fetching(headers) as fetch:
        source = Source(fetch, url)
        found = await source.trace(trace_id, wait=wait)
        return found, await linked(source, found)


def _header(text: str) -> tuple[str, str]:
    name, sign, value = text.partition(":")
    if not sign or not name.strip() or not text.isprintable():
        raise typer.BadParameter("NAME:VALUE", param_hint="--header")
    return name.strip(), value.strip()
