"""`rag doctor`: find out why this machine gets no answers, with advice."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rag_cli.commands.connection import Connection, with_connection
from rag_cli.commands.version import client_version

if TYPE_CHECKING:
    from rag_cli.diagnosis.credential import Credential
    from rag_client.transport.channel import Gateway


@with_connection(timeout=5.0, admin=True)
def doctor(connection: Connection) -> None:
    """Check connection, certificates, token, clock, versions, models and disk.

    Prints advice for each problem, and exits with 1 if a check has failed. The timeout applies to each
    step.
    """
    from rag_cli.diagnosis.run import Subject, diagnose
    from rag_cli.render.diagnosis import show_check

    subject = Subject(
        client_version(),
        lambda: _gateway(connection),
        lambda: _credential(connection),
        Path(os.environ.get("RAG_HOME") or ".rag"),
        list(filter(None, [os.environ.get("RAG_METRICS_URLS")])),
        connection.timeout,
    )
    checks = []
    for check in diagnose(subject):
        checks.append(check)
        if not connection.json:
            show_check(check)
    failed = any(check.status == "failure" for check in checks)
    if connection.json:
        from dataclasses import asdict

        from rag_cli.render.encoding import to_json

        print(to_json({"ok": not failed, "checks": [asdict(check) for check in checks]}))
    if failed:
        raise typer.Exit(1)


def _gateway(connection: Connection) -> "Gateway":
    try:
        return connection.gateway()
    except typer.BadParameter as error:
        # Here it is the result of one check, and the others still run.
        raise ValueError(error.message) from error


def _credential(connection: Connection) -> "tuple[Credential, str]":
    """The token, and the reason if there is none."""
    from rag_cli.diagnosis.credential import Credential
    from rag_client.tokens import NoToken

    bearer, source = connection.credential()
    missing_reason = bearer.reason if isinstance(bearer, NoToken) else ""
    return Credential(bearer() if callable(bearer) else bearer, source), missing_reason
