"""The options that all commands share: which gateway, and in whose name."""

import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

if TYPE_CHECKING:
    from rag_client.aio import AsyncClient
    from rag_client.channel import Gateway
    from rag_client.sync import Client

Target: TypeAlias = Annotated[
    str, typer.Option("--target", envvar="RAG_TARGET", help="Where the gateway is, host:port.")
]
Token: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="RAG_TOKEN",
        help="JWT to call with; signed with the development key where left out.",
        show_default=False,
    ),
]
Tenant: TypeAlias = Annotated[
    str, typer.Option("--tenant", envvar="RAG_TENANT", help="Tenant of a token signed here.")
]
Authorities: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--ca", envvar="RAG_CA", help="Authorities of the gateway's certificate, PEM; means TLS."
    ),
]
Timeout: TypeAlias = Annotated[
    float, typer.Option("--timeout", min=0.001, help="Seconds that one call may last.")
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="JSON for programs.")]


@dataclass(frozen=True, slots=True)
class Connection:
    """A gateway to speak to, and how to speak to the user."""

    target: str
    token: str | None
    tenant: str
    ca: Path | None
    timeout: float
    json: bool

    def client(self) -> "Client":
        """A client for scripts."""
        from rag_client.sync import Client

        return Client(self.target, token=self.bearer(), tls=self.ca, timeout=self.timeout)

    def async_client(self) -> "AsyncClient":
        """A client for many calls at once."""
        from rag_client.aio import AsyncClient

        return AsyncClient(self.target, token=self.bearer(), tls=self.ca, timeout=self.timeout)

    def gateway(self) -> "Gateway":
        """The gateway itself, for calls without the client around them."""
        from rag_client.channel import Gateway

        return Gateway(self.target, self.ca)

    def bearer(self) -> "str | Callable[[], str] | None":
        """The token given, or else one signed with the development key, or else none."""
        key = development_key()
        if self.token or not key.exists():
            return self.token
        from rag_client.signing import Claims, FreshToken, load_key

        return FreshToken(load_key(key), Claims(self.tenant, ttl=600.0))


def development_key() -> Path:
    """The key that `make run` makes: below RAG_HOME, or `.rag` in the working directory."""
    return Path(os.environ.get("RAG_HOME", ".rag")) / "keys" / "dev.pem"


def connected(
    tenant: str = "demo", timeout: float = 30.0
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the shared options, and makes a Connection of them as its first argument."""
    shared = _shared_options(tenant, timeout)
    names = [option.name for option in shared]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(**options: Any) -> None:
            connection = Connection(**{name: options.pop(name) for name in names})
            with _told():
                command(connection, **options)

        own = list(inspect.signature(command).parameters.values())[1:]
        ordered = sorted([*own, *shared], key=lambda parameter: parameter.kind)
        run.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
        run.__annotations__ = {item.name: item.annotation for item in ordered}
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        return run

    return decorate


def _shared_options(tenant: str, timeout: float) -> list[inspect.Parameter]:
    chosen: list[tuple[str, Any, Any]] = [
        ("target", "127.0.0.1:50051", Target),
        ("token", None, Token),
        ("tenant", tenant, Tenant),
        ("ca", None, Authorities),
        ("timeout", timeout, Timeout),
        ("json", False, Json),
    ]
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value, annotation=kind)
        for name, value, kind in chosen
    ]


@contextmanager
def _told() -> Iterator[None]:
    """Says in one sentence what went wrong, and ends the command with the code for it."""
    from rag_common.errors import AppError

    try:
        yield
    except AppError as error:
        print(f"rag: {complaint(error)}", file=sys.stderr)
        raise typer.Exit(1) from error
    except BrokenPipeError:
        # Whoever reads has read enough; what is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError) as error:
        print(f"rag: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        print("rag: interrupted", file=sys.stderr)
        raise typer.Exit(130) from error


def complaint(error: Any) -> str:
    """One sentence about an AppError: what went wrong, its reason, the fields, the trace."""
    fields = ", ".join(violation.field for violation in error.violations)
    trace = error.metadata.get("trace_id", "")
    facts = [error.reason, fields and f"field {fields}", trace and f"trace {trace}"]
    return f"{error.message} ({', '.join(filter(None, facts))})"
