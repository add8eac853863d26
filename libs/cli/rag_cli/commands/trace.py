"""`rag trace`: show the spans of one call, their durations and errors."""

from typing import TYPE_CHECKING, Annotated

import typer

from rag_cli.commands.errors import report_errors
from rag_cli.commands.shared_options import Json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rag_cli.observe.span_links import LinkedSpan
    from rag_cli.observe.spans import Trace


def trace(
    text: Annotated[
        str, typer.Argument(metavar="ID", help="Trace id in upper or lower case, or a traceparent.")
    ],
    url: Annotated[
        str,
        typer.Option(
            envvar="RAG_TRACES_URL",
            help="Tempo, Jaeger, or the trace store of `make run`.",
        ),
    ] = "http://127.0.0.1:4318",
    wait: Annotated[
        float, typer.Option(min=0.0, max=600.0, help="Seconds to wait for missing spans.")
    ] = 5.0,
    header: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME:VALUE", help="HTTP header of the query; repeatable."),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every span and all attributes.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the spans of one call as a waterfall: services, times, durations and errors."""
    headers = dict(map(_header, header or ()))
    with report_errors():
        import asyncio

        from rag_cli.observe.sources import parse_trace_id

        loaded, linked = asyncio.run(_load(url, headers, parse_trace_id(text), wait))
        if json:
            from rag_cli.observe.summaries import summary
            from rag_cli.render.encoding import to_json

            print(to_json({"summary": summary(loaded), "spans": loaded.spans, "linked": linked}))
        else:
            from rag_cli.render.waterfall import show_trace

            show_trace(loaded, linked, verbose=verbose)


async def _load(
    url: str, headers: "Mapping[str, str]", trace_id: str, wait: float
) -> "tuple[Trace, Sequence[LinkedSpan]]":
    from rag_cli.observe.http_client import http_client
    from rag_cli.observe.sources import TraceStore
    from rag_cli.observe.span_links import linked_spans

    async with http_client(headers) as client:
        store = TraceStore(client, url)
        loaded = await store.trace(trace_id, wait=wait)
        return loaded, await linked_spans(store, loaded)


def _header(text: str) -> tuple[str, str]:
    name, sign, value = text.partition(":")
    if not sign or not name.strip() or not text.isprintable():
        raise typer.BadParameter("NAME:VALUE", param_hint="--header")
    return name.strip(), value.strip()
