"""`rag whoami`, `quota`, `keys` and `tokens`: the caller, its limits, and credentials of its tenant."""

from datetime import timedelta
from typing import Annotated

import typer

from rag_cli.commands.connection import Connection, with_connection
from rag_cli.commands.shared_options import GrantedCollections, Scopes, parse_scopes

keys = typer.Typer(no_args_is_help=True)
tokens = typer.Typer(no_args_is_help=True)


@with_connection(admin=True)
def whoami(connection: Connection) -> None:
    """Show the caller: subject, tenant, scopes, roles, collections, credential and tier.

    The scopes are those that `rag keys create` and `rag tokens issue` can grant; admin includes all.
    """
    from rag_cli.render.access import show_identity

    with connection.client() as client:
        identity = client.identity()
    connection.show(identity, lambda who: show_identity(who, connection.credential()[1]))


@with_connection()
def quota(connection: Connection) -> None:
    """Show the remaining amount of each limit, for the tenant and for the credential."""
    from rag_cli.render.access import show_quotas

    with connection.client() as client:
        connection.show(client.quota(), show_quotas)


@keys.callback()
@with_connection(admin=True)
def keys_group(connection: Connection) -> None:
    """Create, list and revoke API keys."""


@keys.command("create")
@with_connection(admin=True)
def create_key(
    connection: Connection,
    name: Annotated[str, typer.Argument(help="Display name: what the key is for.")],
    scope: Scopes,
    collection: GrantedCollections = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=366, help="Lifetime in days; 90 if omitted.")
    ] = None,
) -> None:
    """Create an API key and print it, this one time; a pipe gets the key alone."""
    from rag_cli.render.access import show_created_key

    lifetime = timedelta(days=days) if days else None
    with connection.client() as client:
        created = client.create_api_key(
            name, parse_scopes(scope), collections=collection or (), lifetime=lifetime
        )
    connection.show(created, show_created_key)


@keys.command("list")
@with_connection(admin=True)
def list_keys(connection: Connection) -> None:
    """List the tenant's keys, newest first, revoked ones too; with --json, one line for each."""
    from rag_cli.render.access import show_keys

    with connection.client() as client:
        connection.show(client.api_keys(), show_keys, lines=True)


@keys.command("revoke")
@with_connection(admin=True)
def revoke_key(
    connection: Connection,
    api_key_id: Annotated[
        str, typer.Argument(metavar="ID", help="The key's id, see `rag keys list`.")
    ],
) -> None:
    """Revoke a key, at once and for good."""
    with connection.client() as client:
        key = client.revoke_api_key(api_key_id)
    connection.show(key, lambda _: print(f"{key.api_key_id} is revoked"))


@tokens.callback()
@with_connection(admin=True)
def tokens_group(connection: Connection) -> None:
    """Issue and revoke tokens signed by the platform."""


@tokens.command("issue")
@with_connection(admin=True)
def issue_token(
    connection: Connection,
    subject: Annotated[str, typer.Argument(help="Subject of the token.")],
    scope: Scopes,
    collection: GrantedCollections = None,
    minutes: Annotated[
        int | None, typer.Option(min=1, max=1440, help="Lifetime in minutes; 15 if omitted.")
    ] = None,
) -> None:
    """Issue a token and print it; a pipe gets the token alone, for `$(rag tokens issue …)`."""
    from rag_cli.render.access import show_issued_token

    lifetime = timedelta(minutes=minutes) if minutes else None
    with connection.client() as client:
        issued = client.issue_token(
            subject, parse_scopes(scope), collections=collection or (), lifetime=lifetime
        )
    connection.show(issued, show_issued_token)


@tokens.command("revoke")
@with_connection(admin=True)
def revoke_token(
    connection: Connection,
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The token's id: its claim `jti`.")],
) -> None:
    """Revoke a token."""
    with connection.client() as client:
        client.revoke_token(token_id)
    connection.show({"token_id": token_id}, lambda _: print(f"{token_id} is revoked"))
