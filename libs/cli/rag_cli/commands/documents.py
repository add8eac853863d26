"""`rag documents`: list, show and delete documents."""

from typing import Annotated

import typer

from rag_cli.commands.connection import Connection, with_connection
from rag_cli.commands.shared_options import Collection

documents = typer.Typer(help="List, show and delete documents.")

DocumentId = Annotated[str, typer.Argument(help="The document's id.")]


@documents.callback(invoke_without_command=True)
@with_connection()
def list_all(
    connection: Connection,
    collection: Annotated[
        str, typer.Option("--collection", "-c", help="Collection; all if omitted.")
    ] = "",
) -> None:
    """List the documents; with --json, one line for each."""
    from rag_cli.render.tables import show_documents

    with connection.client() as client:
        listed = client.list_documents(collection=collection)
        connection.show(listed, show_documents, lines=True)


@documents.command()
@with_connection()
def show(
    connection: Connection, document_id: DocumentId, collection: Collection = "default"
) -> None:
    """Show a document's metadata and its first 100 passages."""
    from rag_cli.render.tables import show_document

    with connection.client() as client:
        document = client.get_document(document_id, collection=collection)
        passages = client.list_passages(document_id, collection=collection)
    result = {"document": document, "passages": passages}
    connection.show(result, lambda _: show_document(document, passages))


@documents.command()
@with_connection()
def delete(
    connection: Connection, document_id: DocumentId, collection: Collection = "default"
) -> None:
    """Delete a document with all its passages."""
    with connection.client() as client:
        count = client.delete_document(document_id, collection=collection)
    text = f"{document_id}: deleted, with {count} passages"
    connection.show({"deleted_passages": count}, lambda _: print(text))
