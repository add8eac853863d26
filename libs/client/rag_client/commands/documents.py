"""`rag documents`: what is in the collections."""

from typing import Annotated

import typer

from rag_client.commands import choices
from rag_client.commands.connection import Connection, connected

documents = typer.Typer(help="List, show and delete documents.")

DocumentId = Annotated[str, typer.Argument(help="The document's id.")]


@documents.callback(invoke_without_command=True)
@connected()
def list_all(
    connection: Connection,
    collection: Annotated[
        str, typer.Option("--collection", "-c", help="Collection; all if left out.")
    ] = "",
) -> None:
    """List the documents; with --json, a line each."""
    with connection.client() as client:
        found = client.list_documents(collection=collection)
        if connection.json:
            from rag_client.console.encoding import to_json

            for document in found:
                print(to_json(document))
        else:
            from rag_client.console.tables import show_documents

            show_documents(found)


@documents.command()
@connected()
def show(
    connection: Connection, document_id: DocumentId, collection: choices.Collection = "default"
) -> None:
    """Show what is known of a document, and its first 100 passages."""
    with connection.client() as client:
        document = client.get_document(document_id, collection=collection)
        passages = client.list_passages(document_id, collection=collection)
    if connection.json:
        from rag_client.console.encoding import to_json

        print(to_json({"document": document, "passages": passages}))
    else:
        from rag_client.console.pages import show_document

        show_document(document, passages)


@documents.command()
@connected()
def delete(
    connection: Connection, document_id: DocumentId, collection: choices.Collection = "default"
) -> None:
    """Delete a document with all its passages."""
    with connection.client() as client:
        count = client.delete_document(document_id, collection=collection)
    if connection.json:
        from rag_client.console.encoding import to_json

        print(to_json({"deleted_passages": count}))
    else:
        print(f"{document_id} is deleted, {count} passages")
