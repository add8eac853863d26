"""`rag ask`: ask a question and print the answer as a stream."""

from typing import TYPE_CHECKING, Annotated

import typer

from rag_cli.commands.connection import Connection, with_connection
from rag_cli.commands.shared_options import Collections, ModeChoice, TopK
from rag_client.models.options import GroundingMode

if TYPE_CHECKING:
    from rag_client.client.sync import Client
    from rag_client.models.options import AnswerOptions


@with_connection(timeout=120.0)
def ask(
    connection: Connection,
    question: Annotated[str, typer.Argument(help="The question.")],
    collection: Collections = None,
    mode: ModeChoice = None,
    top_k: TopK = None,
    model: Annotated[str | None, typer.Option(help="Model that writes the answer.")] = None,
    grounding: Annotated[
        GroundingMode | None,
        typer.Option(help="How to handle an answer that the passages do not support."),
    ] = None,
    stream: Annotated[
        bool, typer.Option(help="With --json: one line per event, or one object for the answer.")
    ] = True,
) -> None:
    """Ask a question; prints the answer as it is generated, then its sources."""
    options: AnswerOptions = {
        "collections": collection or (),
        "mode": mode,
        "top_k": top_k,
        "model": model,
        "grounding": grounding,
    }
    with connection.client() as client:
        if connection.json and not stream:
            connection.show(client.answer(question, **options), print)
        else:
            _print_events(client, question, options, connection.json)


def _print_events(client: "Client", question: str, options: "AnswerOptions", as_json: bool) -> None:
    from contextlib import closing

    from rag_cli.render.answers import AnswerPage
    from rag_cli.render.encoding import event_line
    from rag_client.models.events import Incomplete

    page = AnswerPage()
    # Closing the events cancels the call, so that Ctrl-C stops the work at the gateway.
    with closing(client.stream_answer(question, **options)) as events:
        for event in events:
            if as_json:
                print(event_line(event), flush=True)
            else:
                page.show(event)
            if isinstance(event, Incomplete):
                raise typer.Exit(1)
