"""What a command has said, as a picture of a terminal that needs nothing from the network."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

_FETCHED = re.compile(r"@font-face \{\{.*?\}\}\s*|<!--.*?-->\s*", re.DOTALL)
_LINES = '<g class="{unique_id}-matrix">'
# When it was is this run's own, and says nothing to a reader.
_MOMENT = re.compile(r"  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")


@dataclass(frozen=True, slots=True)
class Terminal:
    """A picture: the name of its file, without ending, and the command above it."""

    name: str
    title: str


TERMINALS: Sequence[Terminal] = (
    Terminal("top", "rag top --once"),
    Terminal("trace", "rag trace ID"),
    Terminal("trace-failed", "rag trace ID, of a search that came too late"),
)


def framed(terminal: Terminal, said: str) -> str:
    """The picture of what was said, colours included, without the date."""
    text = Text.from_ansi(_MOMENT.sub("", said).rstrip())
    width = max(line.cell_len for line in text.split())
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    console.print(text, soft_wrap=True)
    return console.export_svg(
        title=terminal.title, code_format=_form(), unique_id=f"rag-{terminal.name}"
    )


def _form() -> str:
    """Rich's own, with the fonts that are there, and all spaces kept: some viewers trim lines."""
    kept = _LINES.replace(">", ' xml:space="preserve">')
    return _FETCHED.sub("", CONSOLE_SVG_FORMAT).replace(_LINES, kept)
