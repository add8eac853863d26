"""What became of the files that were taken in."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from rag_client.console.tables import console, plain_table
from rag_client.intake import FAILED, Intake

_OUTCOMES = ("created", "replaced", "unchanged", FAILED)
_MOST_FAILURES = 50


def show_intakes(taken: Sequence[Intake]) -> None:
    """How many of each outcome; then, on stderr, each failure and its reason."""
    counts = Counter(item.outcome for item in taken)
    table = plain_table([*_OUTCOMES, "passages"])
    passages = sum(item.passages for item in taken)
    table.add_row(*(str(counts[outcome]) for outcome in _OUTCOMES), str(passages))
    console().print(table)
    failures = [item for item in taken if item.outcome == FAILED]
    side = Console(stderr=True, highlight=False)
    for item in failures[:_MOST_FAILURES]:
        trace = f", trace {item.trace_id}" if item.trace_id else ""
        line = f"{item.path}: {item.message} ({item.reason}{trace})"
        side.print(Text(line, "red"), soft_wrap=True)
    if len(failures) > _MOST_FAILURES:
        side.print(f"and {len(failures) - _MOST_FAILURES} more")
