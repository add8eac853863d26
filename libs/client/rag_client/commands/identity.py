"""`rag whoami` and `rag quota`: who the caller is, and how much is left."""

from rag_client.commands.connection import Connection, connected


@connected()
def whoami(connection: Connection) -> None:
    """Show who calls: subject, tenant, scopes, roles, collections, credential and tier."""
    with connection.client() as client:
        identity = client.identity()
    if connection.json:
        from rag_client.console.encoding import to_json

        print(to_json(identity))
    else:
        from rag_client.console.access import show_identity

        show_identity(identity)


@connected()
def quota(connection: Connection) -> None:
    """Show what is left of each limit, for the tenant and for the credential."""
    with connection.client() as client:
        quotas = client.quota()
    if connection.json:
        from rag_client.console.encoding import to_json

        print(to_json(quotas))
    else:
        from rag_client.console.access import show_quotas

        show_quotas(quotas)
