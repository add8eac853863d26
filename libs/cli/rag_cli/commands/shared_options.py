"""The options that all commands share, as typer parameters."""

import inspect
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from rag_client import environment
from rag_client.models.options import Mode

# Options that environment variables can set too.
CONNECTION_OPTIONS = ("target", "token", "token_file", "ca", "cert", "cert_key")


def shared_options(tenant: str, timeout: float) -> list[inspect.Parameter]:
    """The options as parameters, named like the fields of a Connection."""
    return [
        _option(
            "target",
            str | None,
            envvar=environment.TARGET,
            help="Address of the gateway, host:port; 127.0.0.1:50051 if omitted.",
        ),
        _option(
            "token",
            str | None,
            envvar=environment.TOKEN,
            help="JWT or API key to call with; signed with the development key if omitted.",
            show_default=False,
        ),
        _option(
            "token_file",
            Path | None,
            envvar=environment.TOKEN_FILE,
            help="File with the JWT or API key; read again when it changes.",
        ),
        _option(
            "tenant",
            str,
            tenant,
            envvar="RAG_TENANT",
            help="Tenant of a token that is signed here.",
        ),
        _option(
            "ca",
            Path | None,
            envvar=list(environment.CA_FILES),
            help="Certificate authorities that signed the gateway's certificate, PEM; switches TLS on.",
        ),
        _option(
            "cert",
            Path | None,
            envvar=environment.CERTIFICATE,
            help="Client certificate, PEM; switches TLS on.",
        ),
        _option(
            "cert_key",
            Path | None,
            envvar=environment.KEY,
            help="Private key of the client certificate, PEM.",
        ),
        _option("timeout", float, timeout, min=0.001, help="Deadline of a call in seconds."),
        inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json),
    ]


def _option(name: str, kind: Any, default: Any = None, **settings: Any) -> inspect.Parameter:
    annotated: Any = Annotated
    option = typer.Option(f"--{name.replace('_', '-')}", **settings)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotated[kind, option]
    )


Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]


Collections: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--collection", "-c", help="Collection to search; repeatable; all if omitted."),
]
Collection: TypeAlias = Annotated[str, typer.Option("--collection", "-c", help="Collection.")]
ModeChoice: TypeAlias = Annotated[
    Mode | None, typer.Option("--mode", help="Search method; hybrid if omitted.")
]
TopK: TypeAlias = Annotated[
    int | None, typer.Option("--top-k", "-k", min=1, help="Number of passages; 10 if omitted.")
]
Scopes: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--scope",
        help="Allowed scope: search, answer, ingest, admin; repeatable, or separated by commas.",
    ),
]
GrantedCollections: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--collection", "-c", help="Allowed collection; repeatable; all if omitted."),
]


def parse_scopes(values: list[str]) -> list[str]:
    """The scopes without duplicates; a value may hold several with commas, as `rag whoami` prints them."""
    return list(dict.fromkeys(word for text in values for word in text.replace(",", " ").split()))
