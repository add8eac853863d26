"""Gateway and credential from environment variables, for the library and for `rag` alike.

An argument takes precedence over a variable, and a variable over the default. An empty variable is
treated as unset.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rag_client.tokens import NoToken, TokenFile, parse_token

if TYPE_CHECKING:
    from rag_client.transport.channel import ClientCertificate, Gateway, Tls

TARGET = "RAG_TARGET"
TOKEN = "RAG_TOKEN"  # noqa: S105 - the name of a variable
TOKEN_FILE = "RAG_TOKEN_FILE"  # noqa: S105 - the name of a variable
# The first one that is set is used.
CA_FILES = ("RAG_CA_FILE", "RAG_CA")
CERTIFICATE = "RAG_CERT_FILE"
KEY = "RAG_KEY_FILE"
SERVER_NAME = "RAG_SERVER_NAME"

_TOKENS = (TOKEN, TOKEN_FILE)

TokenT = TypeVar("TokenT")


def gateway(
    target: str | None = None,
    tls: "Tls" = None,
    certificate: "ClientCertificate | None" = None,
    environ: Mapping[str, str] | None = None,
) -> "Gateway":
    """The gateway to call; no file is read and no connection opened yet.

    With `tls=False` the certificates of the environment are ignored. Raises ValueError if only one of
    RAG_CERT_FILE and RAG_KEY_FILE is set.
    """
    from rag_client.transport.channel import DEFAULT_TARGET, Gateway

    variables = os.environ if environ is None else environ
    address = target or variables.get(TARGET) or DEFAULT_TARGET
    if tls is False:
        return Gateway(address, tls, certificate)
    return Gateway(
        address,
        _authorities(variables) if tls is None else tls,
        certificate or _certificate(variables),
        variables.get(SERVER_NAME) or "",
    )


def token(
    value: TokenT | None = None, environ: Mapping[str, str] | None = None
) -> TokenT | str | TokenFile | NoToken:
    """The token to call with: `value`, or that of RAG_TOKEN, or of the file that RAG_TOKEN_FILE names.

    Raises OSError for a file that cannot be read, and ValueError for a variable or a file that does
    not hold exactly one token.
    """
    if value is not None:
        return value or NoToken("the argument `token` is empty")
    variables = os.environ if environ is None else environ
    if text := variables.get(TOKEN):
        return parse_token(text, TOKEN)
    if path := variables.get(TOKEN_FILE):
        return TokenFile(Path(path))
    return NoToken(f"the argument `token` is missing, and {describe_unset(variables)}")


def describe_unset(environ: Mapping[str, str] | None = None) -> str:
    """A clause that says of each variable for a token that it is empty or not set."""
    variables = os.environ if environ is None else environ
    states = [f"{name} is {'empty' if name in variables else 'not set'}" for name in _TOKENS]
    return " and ".join(states)


def _authorities(variables: Mapping[str, str]) -> Path | None:
    paths = (variables.get(name) for name in CA_FILES)
    return next((Path(path) for path in paths if path), None)


def _certificate(variables: Mapping[str, str]) -> "ClientCertificate | None":
    chain, key = variables.get(CERTIFICATE), variables.get(KEY)
    if not chain and not key:
        return None
    if not chain or not key:
        raise ValueError(
            f"{CERTIFICATE} and {KEY} must be set together: the certificate and its key"
        )
    from rag_client.transport.channel import ClientCertificate

    return ClientCertificate(Path(chain), Path(key))
