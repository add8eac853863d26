"""The checklist's result, as a table for people and as JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tools.gonogo.finding import Finding, State

_COLUMNS = ("item", "state", "evidence", "command", "measured")


@dataclass(frozen=True, slots=True)
class Line:
    """An item of the checklist with its finding."""

    item: str
    command: str
    finding: Finding


def verdict(lines: Sequence[Line]) -> str:
    """The sentence that sums up the table."""
    names = {
        state: ", ".join(line.item for line in lines if line.finding.state is state)
        for state in State
    }
    if names[State.NO_GO]:
        return f"NO-GO: {names[State.NO_GO]}."
    if names[State.NOT_VERIFIED]:
        return f"UNDECIDED: no item is a no-go, and not verified: {names[State.NOT_VERIFIED]}."
    return "GO, as far as commands can tell; the questions for people remain."


def as_markdown(lines: Sequence[Line], commit: str) -> str:
    """A table with one row for each item, below the verdict."""
    rows = [_COLUMNS, tuple("---" for _ in _COLUMNS), *map(_cells, lines)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"# Go or no-go, commit {commit}\n\n{verdict(lines)}\n\n{table}\n"


def as_text(lines: Sequence[Line]) -> str:
    """The same for a terminal: item, state and evidence in columns."""
    width = max(len(line.item) for line in lines)
    states = max(len(state) for state in State)
    rows = [
        f"{line.item:{width}}  {line.finding.state:{states}}  {line.finding.evidence}"
        for line in lines
    ]
    return "\n".join([*rows, "", verdict(lines)])


def as_json(lines: Sequence[Line], commit: str) -> str:
    """The same for a program."""
    items = [{"item": line.item, "command": line.command, **asdict(line.finding)} for line in lines]
    return json.dumps(
        {"commit": commit, "verdict": verdict(lines), "items": items}, indent=2, ensure_ascii=False
    )


def _cells(line: Line) -> tuple[str, ...]:
    finding = line.finding
    command = f"`{line.command}`" if line.command else ""
    cells = (line.item, str(finding.state), finding.evidence, command, finding.measured)
    return tuple(cell.replace("|", r"\|").replace("\n", " ") for cell in cells)
