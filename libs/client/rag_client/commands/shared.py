"""The options that all commands share, as typer reads them."""

import inspect
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer


def shared_options(tenant: str, timeout: float) -> list[inspect.Parameter]:
    """Each as a parameter; the names are the fields of a Connection."""
    chosen: list[tuple[str, Any, Any]] = [
        ("target", "127.0.0.1:50051", Target),
        ("token", None, Token),
        ("token_file", None, TokenPath),
        ("tenant", tenant, Tenant),
        ("ca", None, Authorities),
        ("cert", None, CertificatePath),
        ("cert_key", None, KeyPath),
        ("timeout", timeout, Timeout),
        ("json", False, Json),
    ]
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value, annotation=kind)
        for name, value, kind in chosen
    ]


Target: TypeAlias = Annotated[
    str, typer.Option("--target", envvar="RAG_TARGET", help="Where the gateway is, host:port.")
]
Token: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="RAG_TOKEN",
        help="JWT or API key to call with; signed with the development key where left out.",
        show_default=False,
    ),
]
TokenPath: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="RAG_TOKEN_FILE",
        help="File that holds the JWT or API key; read again when it changes.",
    ),
]
Tenant: TypeAlias = Annotated[
    str, typer.Option("--tenant", envvar="RAG_TENANT", help="Tenant of a token signed here.")
]
Authorities: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        envvar=["RAG_CA_FILE", "RAG_CA"],
        help="Authorities of the gateway's certificate, PEM; means TLS.",
    ),
]
CertificatePath: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--cert", envvar="RAG_CERT_FILE", help="Certificate to show the gateway, PEM; means TLS."
    ),
]
KeyPath: TypeAlias = Annotated[
    Path | None,
    typer.Option("--cert-key", envvar="RAG_KEY_FILE", help="Private key of that certificate, PEM."),
]
Timeout: TypeAlias = Annotated[
    float, typer.Option("--timeout", min=0.001, help="Seconds that one call may last.")
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="JSON for programs.")]
