"""Options that several commands offer in the same words."""

from typing import Annotated, TypeAlias

import typer

from rag_client.options import Mode

Collections: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--collection", "-c", help="Collection to look in; repeatable; all if none."),
]
Collection: TypeAlias = Annotated[str, typer.Option("--collection", "-c", help="Collection.")]
ModeChoice: TypeAlias = Annotated[
    Mode | None, typer.Option("--mode", help="Lists that are searched; hybrid if left out.")
]
TopK: TypeAlias = Annotated[
    int | None, typer.Option("--top-k", "-k", min=1, help="Passages wanted; 10 if left out.")
]
Scopes: TypeAlias = Annotated[
    list[str],
    typer.Option("--scope", help="What it allows; repeatable: search, answer, ingest, admin."),
]
Opened: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--collection", "-c", help="Collection that it opens; repeatable; all if none."),
]
