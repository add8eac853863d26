"""`rag eval`: measure quality through a running gateway."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from rag_cli.commands.connection import Connection, with_connection
from rag_client.models.options import Fusion

if TYPE_CHECKING:
    from rag_cli.evaluation.report import Evaluation
    from rag_cli.evaluation.run import Plan


@with_connection(tenant="eval", timeout=120.0)
def evaluate(
    connection: Connection,
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            exists=True,
            file_okay=False,
            help="Folder with SET_corpus.jsonl and SET_queries.jsonl.",
        ),
    ],
    sets: Annotated[
        list[str] | None, typer.Option(help="Set to evaluate; repeatable; all if omitted.")
    ] = None,
    fusion: Annotated[
        list[str] | None, typer.Option(help="Fusions to compare with the default: rrf, dbsf.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of questions per set.")
    ] = None,
    answers: Annotated[
        int, typer.Option(min=0, help="Number of questions with known answers to ask in each set.")
    ] = 0,
    markdown: Annotated[Path | None, typer.Option(help="File to write the tables to.")] = None,
) -> None:
    """Measure Recall, MRR and nDCG of each search method, and the evidence and refusals of answers.

    Each set is ingested as a collection of its name; documents that are there already stay unchanged.
    """
    import asyncio

    from rag_cli.evaluation import report
    from rag_cli.evaluation.run import Plan
    from rag_cli.evaluation.sets import discover

    plan = Plan(
        discover(data, sets or ()),
        _fusions(fusion or []),
        limit,
        answers,
        shown_command(sys.argv[1:]),
    )
    evaluation = asyncio.run(_evaluate(connection, plan))
    if markdown:
        markdown.write_text(report.markdown(evaluation), encoding="utf-8")
    connection.show(evaluation, lambda _: print(report.markdown(evaluation)))


async def _evaluate(connection: Connection, plan: "Plan") -> "Evaluation":
    from rag_cli.evaluation import run

    async with connection.async_client() as client:
        return await run.evaluate(client, plan)


def shown_command(words: Sequence[str]) -> str:
    """The command line without the token."""
    secret = {index for index, word in enumerate(words) if word.startswith("--token")}
    secret |= {index + 1 for index in secret if words[index] == "--token"}
    return shlex.join(["rag", *(w for index, w in enumerate(words) if index not in secret)])


def _fusions(words: list[str]) -> list[Fusion]:
    known = {str(word): word for word in get_args(Fusion)}
    for word in words:
        if word not in known:
            raise typer.BadParameter(f"{word!r} is not one of {', '.join(known)}")
    return [known[word] for word in words]
