"""A progress bar on stderr; nothing if that is not a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a progress bar; yields the function to call after each item."""
    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(*columns, TimeRemainingColumn(), console=screen, disable=not screen.is_terminal)
    with bar:
        task = bar.add_task(label, total=total)
        yield lambda: bar.advance(task)


def note(text: str) -> None:
    """Print a line on stderr."""
    Console(stderr=True, highlight=False).print(text, markup=False, soft_wrap=True)
