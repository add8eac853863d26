"""The command `rag`.

Exit codes: 0 success, 1 failure (one sentence on stderr gives the reason), 2 wrong usage, 130 interrupted.
"""

from typing import Annotated

import typer

from rag_cli.commands.access import keys, quota, tokens, whoami
from rag_cli.commands.ask import ask
from rag_cli.commands.doctor import doctor
from rag_cli.commands.documents import documents
from rag_cli.commands.evaluate import evaluate
from rag_cli.commands.ingest import ingest
from rag_cli.commands.search import search
from rag_cli.commands.token import token
from rag_cli.commands.top import top
from rag_cli.commands.trace import trace
from rag_cli.commands.version import print_version

app = typer.Typer(
    name="rag",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(token)
app.command()(ingest)
app.command()(ask)
app.command()(search)
app.add_typer(documents, name="documents")
app.command()(whoami)
app.command()(quota)
app.add_typer(keys, name="keys")
app.add_typer(tokens, name="tokens")
app.command("eval")(evaluate)
app.command()(trace)
app.command()(top)
app.command()(doctor)


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=print_version, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Answers from your own documents.

    Exit codes: 0 success, 1 failure, 2 wrong usage, 130 interrupted.
    """


def main() -> None:
    """The entry point of the command."""
    app()
