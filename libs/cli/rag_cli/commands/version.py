"""`rag --version`: the installed version of the command."""

import platform
from importlib.metadata import PackageNotFoundError, version

import typer

_DISTRIBUTION = "rag-cli"


def client_version() -> str:
    """The installed version; `unknown` if the sources are run without an installation."""
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"


def print_version(requested: bool) -> None:
    """Print the version and end the command, if `--version` was given."""
    if requested:
        print(f"rag {client_version()} (Python {platform.python_version()})")
        raise typer.Exit
