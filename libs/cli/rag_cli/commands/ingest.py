"""`rag ingest`: ingest files and folders."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag_cli.commands.connection import Connection, with_connection
from rag_cli.commands.shared_options import Collection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rag_client.bulk_ingest import FileResult
    from rag_client.files import SourceFile
    from rag_client.models.options import MetadataValue


@with_connection(timeout=300.0)
def ingest(
    connection: Connection,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files and folders.")],
    collection: Collection = "default",
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata",
            "-m",
            metavar="KEY=VALUE",
            help="Metadata of every document; repeatable. Numbers, true and false keep their types.",
        ),
    ] = None,
) -> None:
    """Ingest files and folders: txt, md, html, pdf and docx.

    A document's id is its path within the folder, so ingesting the same folder again updates only the
    files that have changed. Exits with 1 if a file failed.
    """
    import asyncio

    from rag_cli.render.tables import show_ingest_results
    from rag_client.files import files_in

    files = files_in(paths)
    pairs = _parse_metadata(metadata or [])
    results = asyncio.run(_ingest_files(connection, files, collection, pairs))
    connection.show({"documents": results}, lambda _: show_ingest_results(results))
    if any(result.reason for result in results):
        raise typer.Exit(1)


async def _ingest_files(
    connection: Connection,
    files: "Sequence[SourceFile]",
    collection: str,
    metadata: "Mapping[str, MetadataValue]",
) -> "list[FileResult]":
    from rag_cli.render.progress import progress
    from rag_client.bulk_ingest import ingest_files

    async with connection.async_client() as client:
        with progress("ingest", len(files)) as on_done:
            return await ingest_files(client, files, collection, metadata, on_done)


def _parse_metadata(values: list[str]) -> "dict[str, MetadataValue]":
    pairs: dict[str, MetadataValue] = {}
    for item in values:
        key, sign, text = item.partition("=")
        if not key or not sign:
            raise typer.BadParameter(f"{item!r} is not KEY=VALUE", param_hint="--metadata")
        pairs[key] = _parse_value(text)
    return pairs


def _parse_value(text: str) -> "MetadataValue":
    """The JSON value of a number, boolean, quoted text or list; any other text unchanged."""
    import json

    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, int | float | str | list) else text
