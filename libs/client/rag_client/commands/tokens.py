"""`rag tokens`: short-lived tokens signed by the platform, issued and revoked."""

from datetime import timedelta
from typing import Annotated

import typer

from rag_client.commands import choices
from rag_client.commands.connection import Connection, connected

tokens = typer.Typer(help="Issue and revoke the platform's own tokens.", no_args_is_help=True)


@tokens.command()
@connected(admin=True)
def issue(
    connection: Connection,
    subject: Annotated[str, typer.Argument(help="Whom the token is for.")],
    scope: choices.Scopes,
    collection: choices.Opened = None,
    minutes: Annotated[
        int | None, typer.Option(min=1, max=1440, help="How long it lives; 15 if left out.")
    ] = None,
) -> None:
    """Issue a token and print it; into a pipe goes the token alone, for `$(rag tokens issue …)`."""
    lifetime = timedelta(minutes=minutes) if minutes else None
    with connection.client() as client:
        issued = client.issue_token(subject, scope, collections=collection or (), lifetime=lifetime)
    if connection.json:
        from rag_client.console.encoding import to_json

        print(to_json(issued))
    else:
        from rag_client.console.access import show_issued_token

        show_issued_token(issued)


@tokens.command()
@connected(admin=True)
def revoke(
    connection: Connection,
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The token's id: its claim jti.")],
) -> None:
    """Refuse a token from now on."""
    with connection.client() as client:
        client.revoke_token(token_id)
    if connection.json:
        from rag_client.console.encoding import to_json

        print(to_json({"token_id": token_id}))
    else:
        print(f"{token_id} is revoked")
