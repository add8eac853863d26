"""`rag ask`: a question, answered as it is written."""

from typing import TYPE_CHECKING, Annotated

import typer

from rag_client.commands import choices
from rag_client.commands.connection import Connection, connected
from rag_client.options import GroundingMode

if TYPE_CHECKING:
    from rag_client.options import AnswerOptions
    from rag_client.sync import Client


@connected(timeout=120.0)
def ask(
    connection: Connection,
    question: Annotated[str, typer.Argument(help="The question.")],
    collection: choices.Collections = None,
    mode: choices.ModeChoice = None,
    top_k: choices.TopK = None,
    model: Annotated[str | None, typer.Option(help="Model that writes the answer.")] = None,
    grounding: Annotated[
        GroundingMode | None,
        typer.Option(help="What to do about an answer that the passages do not support."),
    ] = None,
    stream: Annotated[
        bool, typer.Option(help="With --json: a line an event, or one object for the answer.")
    ] = True,
) -> None:
    """Ask a question; the answer comes as it is written, then what it rests on."""
    options: AnswerOptions = {
        "collections": collection or (),
        "mode": mode,
        "top_k": top_k,
        "model": model,
        "grounding": grounding,
    }
    with connection.client() as client:
        if connection.json and not stream:
            _print_whole(client, question, options)
        else:
            _print_events(client, question, options, connection.json)


def _print_whole(client: "Client", question: str, options: "AnswerOptions") -> None:
    from rag_client.console.encoding import to_json

    print(to_json(client.answer(question, **options)))


def _print_events(client: "Client", question: str, options: "AnswerOptions", as_json: bool) -> None:
    from contextlib import closing

    from rag_client.console.answers import AnswerPage
    from rag_client.console.encoding import event_line
    from rag_client.events import Incomplete

    page = AnswerPage()
    # Closing the events, also on Ctrl-C, is what stops the work at the gateway.
    with closing(client.stream_answer(question, **options)) as events:
        for event in events:
            if as_json:
                print(event_line(event), flush=True)
            else:
                page.show(event)
            if isinstance(event, Incomplete):
                raise typer.Exit(1)
