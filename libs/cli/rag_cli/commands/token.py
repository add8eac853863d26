"""`rag token`: sign a token with the development key."""

import time
from pathlib import Path
from typing import Annotated

import typer

from rag_cli.commands.connection import development_key
from rag_cli.commands.shared_options import parse_scopes

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def token(
    key: Annotated[
        Path | None,
        typer.Option(help="Ed25519 private key, PEM; .rag/keys/dev.pem if omitted."),
    ] = None,
    tenant: Annotated[str, typer.Option(envvar="RAG_TENANT", help="Tenant.")] = "demo",
    scope: Annotated[
        list[str] | None, typer.Option(help="Allowed scope; repeatable, or separated by commas.")
    ] = None,
    ttl: Annotated[str, typer.Option(help="Lifetime: 90s, 15m, 1h, 7d.")] = "1h",
    subject: Annotated[str, typer.Option(help="Subject of the token.")] = "developer",
) -> None:
    """Sign a token with the development key and print it, for `$(rag token)`.

    The scopes are search, answer and ingest unless --scope is set.
    """
    from rag_cli.dev_tokens import SCOPES, Claims, load_key, sign

    claims = Claims(tenant, parse_scopes(scope or []) or SCOPES, subject, seconds(ttl))
    try:
        print(sign(load_key(key or development_key()), claims, time.time()))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error), param_hint="--key") from error


def seconds(text: str) -> float:
    """The seconds of `90s`, `15m`, `1h` or `7d`. Raises BadParameter for other or non-positive values."""
    number, unit = text[:-1], text[-1:]
    if unit in _SECONDS and number.isdecimal() and int(number) > 0:
        return float(int(number) * _SECONDS[unit])
    raise typer.BadParameter(f"{text!r} is not a duration like 90s, 15m, 1h or 7d")
