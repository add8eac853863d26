"""The gateway and the credential of a command, from its options and the environment."""

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rag_cli.commands.errors import report_errors
from rag_cli.commands.shared_options import CONNECTION_OPTIONS, shared_options

if TYPE_CHECKING:
    from rag_client.client.aio import AsyncClient
    from rag_client.client.sync import Client
    from rag_client.transport.channel import Gateway


@dataclass(frozen=True, slots=True)
class Connection:
    """The options that all commands share.

    The fields up to `cert_key` are those of the command line; None means that the environment decides,
    as in the library. `timeout` is in seconds. With `admin`, a token signed here has the admin scope.
    """

    target: str | None
    token: str | None
    token_file: Path | None
    ca: Path | None
    cert: Path | None
    cert_key: Path | None
    tenant: str
    timeout: float
    json: bool
    admin: bool

    def client(self) -> "Client":
        """A client for blocking calls."""
        from rag_client.client.sync import Client

        return Client(
            token=self.bearer(),
            channel=self.gateway().open(),
            timeout=self.timeout,
        )

    def async_client(self) -> "AsyncClient":
        """A client for concurrent calls."""
        from rag_client import environment
        from rag_client.client.aio import AsyncClient

        gateway = self.gateway()
        return AsyncClient(
            gateway.target,
            token=self.bearer(),
            tls=gateway.tls,
            certificate=gateway.certificate,
            timeout=self.timeout,
            environ={environment.SERVER_NAME: gateway.server_name},
        )

    def gateway(self) -> "Gateway":
        """The gateway to connect to. Raises typer.BadParameter for an incomplete client certificate."""
        from rag_client import environment

        options = {
            environment.TARGET: self.target,
            environment.CA_FILES[0]: self.ca,
            environment.CERTIFICATE: self.cert,
            environment.KEY: self.cert_key,
        }
        explicit = {name: str(value) for name, value in options.items() if value is not None}
        try:
            return environment.gateway(environ={**os.environ, **explicit})
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--cert") from error

    def show(
        self, result: Any, print_text: Callable[[Any], object], *, lines: bool = False
    ) -> None:
        """Print a command's result by `print_text`, or as JSON; with `lines`, a line for each of its items."""
        if not self.json:
            print_text(result)
            return
        from rag_cli.render.encoding import to_json

        for item in result if lines else (result,):
            print(to_json(item))

    def bearer(self) -> "str | Callable[[], str]":
        """The token to call with, see `credential`."""
        return self.credential()[0]

    def credential(self) -> "tuple[str | Callable[[], str], str]":
        """The token of the options, of the environment, or signed with the development key; and its source.

        Without any of them the token is a NoToken, and the error of a call says what is missing.
        """
        from rag_client import environment
        from rag_client.tokens import NoToken, TokenFile, parse_token

        if self.token:
            return parse_token(self.token, "--token"), "--token"
        if self.token_file:
            return TokenFile(self.token_file), f"the file {self.token_file}"
        token = environment.token()
        if isinstance(token, TokenFile):
            return (
                token,
                f"the file {os.environ[environment.TOKEN_FILE]} ({environment.TOKEN_FILE})",
            )
        if isinstance(token, str):
            return token, environment.TOKEN
        key = development_key()
        if not key.exists():
            reason = (
                "--token and --token-file are missing, "
                f"{environment.describe_unset()}, and there is no development key {key.absolute()}"
            )
            return NoToken(reason), "none"
        from rag_cli.dev_tokens import ADMIN_SCOPES, SCOPES, Claims, fresh_token, load_key

        claims = Claims(self.tenant, ADMIN_SCOPES if self.admin else SCOPES, ttl=600.0)
        return fresh_token(load_key(key), claims), f"signed here with the development key {key}"


def development_key() -> Path:
    """The key that `make run` creates: in RAG_HOME, or in `.rag` of the working directory."""
    return Path(os.environ.get("RAG_HOME", ".rag")) / "keys" / "dev.pem"


def with_connection(
    tenant: str = "demo", timeout: float = 30.0, *, admin: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the shared options to a command, which receives them as a Connection, its first argument.

    Options before a subcommand apply to it too. With `admin`, a token that is signed here has the
    admin scope.
    """
    shared = shared_options(tenant, timeout)
    names = [option.name for option in shared]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command).parameters.values())[1:]

        def run(context: typer.Context, **values: Any) -> None:
            options = _merge_options(context, values)
            if context.invoked_subcommand:
                return
            connection = Connection(**{name: options.pop(name) for name in names}, admin=admin)
            with report_errors():
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


def _merge_options(context: typer.Context, values: dict[str, Any]) -> dict[str, Any]:
    """The options of the command line; those after a subcommand override those before it.

    Connection options from the environment become None: environment.py reads them and defines their
    precedence.
    """
    explicit = context.meta.setdefault("rag_cli.explicit", {})
    explicit |= {name: value for name, value in values.items() if _is_explicit(context, name)}
    unset = dict.fromkeys(values.keys() & set(CONNECTION_OPTIONS))
    return values | unset | {name: explicit[name] for name in values if name in explicit}


def _is_explicit(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
