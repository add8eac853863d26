"""What a command says when it fails, and the exit code that goes with it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from rag_client.console.durations import span
from rag_common.errors import AppError, ResourceExhausted


@contextmanager
def told() -> Iterator[None]:
    """Says in one sentence what went wrong, and ends the command with the code for it."""
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


def complaint(error: AppError) -> str:
    """One sentence about an AppError: what went wrong, its reason, the fields, when to come back, the trace."""
    fields = ", ".join(violation.field for violation in error.violations)
    trace = error.metadata.get("trace_id", "")
    wait = ""
    if isinstance(error, ResourceExhausted) and error.retry_after is not None:
        wait = f"try again in {span(error.retry_after)}"
    facts = [error.reason, fields and f"field {fields}", wait, trace and f"trace {trace}"]
    return f"{error.message} ({', '.join(filter(None, facts))})"
