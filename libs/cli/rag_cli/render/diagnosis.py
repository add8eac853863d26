"""Checks as text: one line each, with advice below those that are not ok."""

from rich.console import Console
from rich.text import Text

from rag_cli.diagnosis.checks import Check

_MARKS = {
    "ok": ("ok", "green"),
    "warning": ("warning", "yellow"),
    "failure": ("failure", "bold red"),
    "skipped": ("skipped", "dim"),
}
_MARK_WIDTH, _NAME_WIDTH = 9, 22


def show_check(check: Check) -> None:
    """Print one check."""
    mark, style = _MARKS[check.status]
    line = Text()
    line.append(f"{mark:<{_MARK_WIDTH}}", style)
    line.append(f"{check.name:<{_NAME_WIDTH}}", "bold")
    line.append(check.detail)
    if check.advice:
        line.append(f"\n{'':<{_MARK_WIDTH + _NAME_WIDTH}}→ {check.advice}", style)
    # Only the terminal wraps the line, so that it can be copied and searched.
    Console(highlight=False, soft_wrap=True).print(line)
