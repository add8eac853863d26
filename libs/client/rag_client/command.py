"""The command `rag`.

Exit codes: 0 done, 1 failed (one sentence on stderr says why), 2 wrong usage, 130 interrupted.
"""

import typer

from rag_client.commands.ask import ask
from rag_client.commands.bench import bench
from rag_client.commands.documents import documents
from rag_client.commands.evaluate import evaluate
from rag_client.commands.identity import quota, whoami
from rag_client.commands.ingest import ingest
from rag_client.commands.keys import keys
from rag_client.commands.search import search
from rag_client.commands.token import token
from rag_client.commands.tokens import tokens
from rag_client.commands.top import top
from rag_client.commands.trace import trace

_HELP = """Answers from your own documents.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""

app = typer.Typer(
    name="rag",
    help=_HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
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
app.command()(bench)
app.command()(trace)
app.command()(top)


def main() -> None:
    """The entry point of the command."""
    app()
