"""`rag keys`: API keys of the tenant, made, listed and revoked."""

from datetime import timedelta
from typing import Annotated

import typer

from rag_client.commands import choices
from rag_client.commands.connection import Connection, connected

keys = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)


@keys.command()
@connected(admin=True)
def create(
    connection: Connection,
    name: Annotated[str, typer.Argument(help="What the key is for, as people will read it.")],
    scope: choices.Scopes,
    collection: choices.Opened = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=366, help="How long it lives; 90 if left out.")
    ] = None,
) -> None:
    """Create an API key and print it, this once; into a pipe goes the key alone."""
    lifetime = timedelta(days=days) if days else None
    with connection.client() as client:
        created = client.create_api_key(
            name, scope, collections=collection or (), lifetime=lifetime
        )
    if connection.json:
        from rag_client.console.encoding import to_json

        print(to_json(created))
    else:
        from rag_client.console.access import show_created_key

        show_created_key(created)


@keys.command("list")
@connected(admin=True)
def list_all(connection: Connection) -> None:
    """List the tenant's keys, newest first, revoked ones too; with --json, a line each."""
    with connection.client() as client:
        found = client.api_keys()
        if connection.json:
            from rag_client.console.encoding import to_json

            for key in found:
                print(to_json(key))
        else:
            from rag_client.console.access import show_keys

            show_keys(found)


@keys.command()
@connected(admin=True)
def revoke(
    connection: Connection,
    api_key_id: Annotated[
        str, typer.Argument(metavar="ID", help="The key's id, see rag keys list.")
    ],
) -> None:
    """End a key at once, for good."""
    with connection.client() as client:
        key = client.revoke_api_key(api_key_id)
    if connection.json:
        from rag_client.console.encoding import to_json

        print(to_json(key))
    else:
        print(f"{key.api_key_id} is revoked")
