"""`rag eval`: quality, measured through the running gateway."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from rag_client.commands.connection import Connection, connected
from rag_client.options import Fusion

if TYPE_CHECKING:
    from rag_client.evaluation.report import Evaluation
    from rag_client.evaluation.run import Plan


@connected(tenant="eval", timeout=120.0)
def evaluate(
    connection: Connection,
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            exists=True,
            file_okay=False,
            help="Folder of SET_corpus.jsonl and SET_queries.jsonl.",
        ),
    ],
    sets: Annotated[list[str] | None, typer.Option(help="Sets; repeatable; all if none.")] = None,
    fusion: Annotated[
        list[str] | None, typer.Option(help="Fusions to compare with the default: rrf, dbsf.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Questions a set at most.")] = None,
    answers: Annotated[
        int, typer.Option(min=0, help="Questions of each set with known answers to be answered.")
    ] = 0,
    markdown: Annotated[Path | None, typer.Option(help="File to write the tables to.")] = None,
) -> None:
    """Measure Recall, MRR and nDCG by list, and how well answers are evidenced and declined.

    Each set is taken in as a collection of its name, once; its documents are compared by id.
    """
    import asyncio

    from rag_client.evaluation import report
    from rag_client.evaluation.run import Plan
    from rag_client.evaluation.sets import discover

    plan = Plan(
        discover(data, sets or ()), _fusions(fusion or []), limit, answers, shown(sys.argv[1:])
    )
    found = asyncio.run(_evaluate(connection, plan))
    if markdown:
        markdown.write_text(report.markdown(found), encoding="utf-8")
    _print(found, connection.json)


async def _evaluate(connection: Connection, plan: "Plan") -> "Evaluation":
    from rag_client.evaluation import run

    async with connection.async_client() as client:
        return await run.evaluate(client, plan)


def shown(words: Sequence[str]) -> str:
    """The command line of these arguments, without the token."""
    secret = {place for place, word in enumerate(words) if word.startswith("--token")}
    secret |= {place + 1 for place in secret if words[place] == "--token"}
    return shlex.join(["rag", *(w for place, w in enumerate(words) if place not in secret)])


def _fusions(words: list[str]) -> list[Fusion]:
    known = {str(word): word for word in get_args(Fusion)}
    for word in words:
        if word not in known:
            raise typer.BadParameter(f"{word!r} is none of {', '.join(known)}")
    return [known[word] for word in words]


def _print(found: "Evaluation", as_json: bool) -> None:
    from rag_client.console.encoding import to_json
    from rag_client.evaluation import report

    print(to_json(found) if as_json else report.markdown(found))
