"""`rag search`: search for passages, with their scores."""

from typing import Annotated

import typer

from rag_cli.commands.connection import Connection, with_connection
from rag_cli.commands.shared_options import Collections, ModeChoice, TopK
from rag_client.models.options import Fusion


@with_connection()
def search(
    connection: Connection,
    query: Annotated[str, typer.Argument(help="The search text.")],
    collection: Collections = None,
    mode: ModeChoice = None,
    top_k: TopK = None,
    fusion: Annotated[
        Fusion | None, typer.Option(help="How to merge the dense and the sparse list.")
    ] = None,
    rerank: Annotated[
        bool, typer.Option("--rerank", help="Rerank with the cross-encoder.")
    ] = False,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Show the ranks and scores by list, and matched morphemes."),
    ] = False,
) -> None:
    """Search, and show the passages with their scores."""
    from rag_cli.render.tables import show_search_results

    with connection.client() as client:
        result = client.search(
            query,
            collections=collection or (),
            mode=mode,
            top_k=top_k,
            fusion=fusion,
            rerank=rerank,
            explain=explain,
        )
    connection.show(result, lambda found: show_search_results(found, explain))
