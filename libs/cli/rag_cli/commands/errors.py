"""Error messages and exit codes of the commands."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from rag_cli.durations import format_duration
from rag_contract.errors import AppError, ResourceExhausted


@contextmanager
def report_errors() -> Iterator[None]:
    """Print an error in one sentence on stderr, and exit with its code."""
    try:
        yield
    except AppError as error:
        print(f"rag: {error_sentence(error)}", file=sys.stderr)
        raise typer.Exit(1) from error
    except BrokenPipeError:
        # The reader has closed the pipe; discard what is still buffered.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError) as error:
        print(f"rag: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        print("rag: interrupted", file=sys.stderr)
        raise typer.Exit(130) from error


def error_sentence(error: AppError) -> str:
    """An AppError in one sentence: message, reason, fields, when to retry, and trace id."""
    fields = ", ".join(violation.field for violation in error.violations)
    trace = error.metadata.get("trace_id", "")
    wait = ""
    if isinstance(error, ResourceExhausted) and error.retry_after is not None:
        wait = f"try again in {format_duration(error.retry_after)}"
    facts = [error.reason, fields and f"field {fields}", wait, trace and f"trace {trace}"]
    return f"{error.message} ({', '.join(filter(None, facts))})"
