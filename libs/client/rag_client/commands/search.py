"""`rag search`: passages, and why they were found."""

from typing import Annotated

import typer

from rag_client.commands import choices
from rag_client.commands.connection import Connection, connected
from rag_client.options import Fusion


@connected()
def search(
    connection: Connection,
    query: Annotated[str, typer.Argument(help="What to look for.")],
    collection: choices.Collections = None,
    mode: choices.ModeChoice = None,
    top_k: choices.TopK = None,
    fusion: Annotated[Fusion | None, typer.Option(help="How two lists become one.")] = None,
    rerank: Annotated[bool, typer.Option("--rerank", help="Reorder by cross-encoder.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show ranks, scores and matched morphemes by list.")
    ] = False,
) -> None:
    """Search, and show the passages with their scores."""
    with connection.client() as client:
        found = client.search(
            query,
            collections=collection or (),
            mode=mode,
            top_k=top_k,
            fusion=fusion,
            rerank=rerank,
            explain=explain,
        )
    if connection.json:
        from rag_client.console.encoding import to_json

        print(to_json(found))
    else:
        from rag_client.console.tables import show_found

        show_found(found, explain)
