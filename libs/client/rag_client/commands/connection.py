"""What all commands have in common: which gateway they call, and in whose name."""

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rag_client.commands.failures import told
from rag_client.commands.shared import shared_options

if TYPE_CHECKING:
    from rag_client.aio import AsyncClient
    from rag_client.channel import ClientCertificate, Gateway
    from rag_client.sync import Client


@dataclass(frozen=True, slots=True)
class Connection:
    """A gateway to speak to, and how to speak to the user."""

    target: str
    token: str | None
    token_file: Path | None
    tenant: str
    ca: Path | None
    cert: Path | None
    cert_key: Path | None
    timeout: float
    json: bool
    admin: bool

    def client(self) -> "Client":
        """A client for scripts."""
        from rag_client.sync import Client

        return Client(
            self.target,
            token=self.bearer(),
            tls=self.ca,
            certificate=self._certificate(),
            timeout=self.timeout,
        )

    def async_client(self) -> "AsyncClient":
        """A client for many calls at once."""
        from rag_client.aio import AsyncClient

        return AsyncClient(
            self.target,
            token=self.bearer(),
            tls=self.ca,
            certificate=self._certificate(),
            timeout=self.timeout,
        )

    def gateway(self) -> "Gateway":
        """The gateway itself, for calls without the client around them."""
        from rag_client.channel import Gateway

        return Gateway(self.target, self.ca, self._certificate())

    def bearer(self) -> "str | Callable[[], str] | None":
        """The token given, or the file's, or else one signed with the development key, or else none."""
        if self.token:
            return self.token
        if self.token_file:
            from rag_client.tokens import TokenFile

            return TokenFile(self.token_file)
        key = development_key()
        if not key.exists():
            return None
        from rag_client.signing import ADMIN_SCOPES, SCOPES, Claims, FreshToken, load_key

        scopes = ADMIN_SCOPES if self.admin else SCOPES
        return FreshToken(load_key(key), Claims(self.tenant, scopes, ttl=600.0))

    def _certificate(self) -> "ClientCertificate | None":
        if self.cert is None and self.cert_key is None:
            return None
        if self.cert is None or self.cert_key is None:
            raise typer.BadParameter("the certificate and its key go together", param_hint="--cert")
        from rag_client.channel import ClientCertificate

        return ClientCertificate(self.cert, self.cert_key)


def development_key() -> Path:
    """The key that `make run` makes: below RAG_HOME, or `.rag` in the working directory."""
    return Path(os.environ.get("RAG_HOME", ".rag")) / "keys" / "dev.pem"


def connected(
    tenant: str = "demo", timeout: float = 30.0, *, admin: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the shared options, and makes a Connection of them as its first argument.

    What is said before a subcommand holds for it too. With `admin`, a token that is signed here
    has the scope for it.
    """
    shared = shared_options(tenant, timeout)
    names = [option.name for option in shared]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command).parameters.values())[1:]

        def run(context: typer.Context, **given: Any) -> None:
            options = _meant(context, given)
            if context.invoked_subcommand:
                return
            connection = Connection(**{name: options.pop(name) for name in names}, admin=admin)
            with told():
                command(connection, **options)

        ordered = sorted([_CONTEXT, *own, *shared], key=lambda parameter: parameter.kind)
        run.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
        run.__annotations__ = {item.name: item.annotation for item in ordered}
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        return run

    return decorate


_CONTEXT = inspect.Parameter(
    "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
)


def _meant(context: typer.Context, given: dict[str, Any]) -> dict[str, Any]:
    """The options with those said before the subcommand, unless they are said again behind it.

    A token file that is said counts more than a token that only stands in the environment.
    """
    said = context.meta.setdefault("rag_client.said", {})
    said |= {name: value for name, value in given.items() if _is_said(context, name)}
    meant = given | {name: said[name] for name in given if name in said}
    if "token_file" in said and "token" not in said:
        meant["token"] = None
    return meant


def _is_said(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
