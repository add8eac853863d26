"""`rag ingest`: files and folders taken in."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag_client.commands import choices
from rag_client.commands.connection import Connection, connected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rag_client.files import SourceFile
    from rag_client.intake import Intake
    from rag_client.options import MetadataValue


@connected(timeout=300.0)
def ingest(
    connection: Connection,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files and folders.")],
    collection: choices.Collection = "default",
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata",
            "-m",
            metavar="KEY=VALUE",
            help="For every document; repeatable. Numbers, true and false are taken as such.",
        ),
    ] = None,
) -> None:
    """Take in files and folders: txt, md, html, pdf and docx.

    A document's id is its path within the given folder, so taking in the same folder again changes
    nothing but what has changed. Exits with 1 if any file failed.
    """
    import asyncio

    from rag_client.files import files_in

    files = files_in(paths)
    facts = _pairs(metadata or [])
    taken = asyncio.run(_take_in(connection, files, collection, facts))
    _report(taken, connection.json)
    if any(item.reason for item in taken):
        raise typer.Exit(1)


async def _take_in(
    connection: Connection,
    files: "Sequence[SourceFile]",
    collection: str,
    metadata: "Mapping[str, MetadataValue]",
) -> "list[Intake]":
    from rag_client.console.progress import progress
    from rag_client.intake import take_in

    async with connection.async_client() as client:
        with progress("ingest", len(files)) as done:
            return await take_in(client, files, collection, metadata, done)


def _pairs(given: list[str]) -> "dict[str, MetadataValue]":
    pairs: dict[str, MetadataValue] = {}
    for item in given:
        key, sign, text = item.partition("=")
        if not key or not sign:
            raise typer.BadParameter(f"{item!r} is not KEY=VALUE", param_hint="--metadata")
        pairs[key] = _value(text)
    return pairs


def _value(text: str) -> "MetadataValue":
    """JSON where it is a number, a truth value, a quoted text or a list; else the text."""
    import json

    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, int | float | str | list) else text


def _report(taken: "list[Intake]", as_json: bool) -> None:
    if as_json:
        from rag_client.console.encoding import to_json

        print(to_json({"documents": taken}))
    else:
        from rag_client.console.intakes import show_intakes

        show_intakes(taken)
