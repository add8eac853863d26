"""Runs the checklist before a release and writes build/go-nogo.md and build/go-nogo.json.

Exits with 1 if an item is a no-go. With --all, commands that take long run too; without it, their
last results count if they are of this commit.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tools import ROOT
from tools.gonogo.context import Context, head
from tools.gonogo.finding import State
from tools.gonogo.items import AnyItem, load
from tools.gonogo.report import Line, as_json, as_markdown, as_text

CHECKLIST = Path(__file__).with_name("checklist.toml")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.gonogo", description=__doc__)
    parser.add_argument("--all", action="store_true", help="run the commands that take long too")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout")
    parser.add_argument("--checklist", type=Path, default=CHECKLIST)
    options = parser.parse_args(arguments)
    context = Context(options.root, head(options.root), options.all)
    lines = [_line(item, context) for item in load(options.checklist)]
    _write(lines, context)
    print(as_text(lines))
    return 1 if any(line.finding.state is State.NO_GO for line in lines) else 0


def _line(item: AnyItem, context: Context) -> Line:
    print(f"… {item.name}", file=sys.stderr, flush=True)
    return Line(item.name, item.command, item.check(context))


def _write(lines: Sequence[Line], context: Context) -> None:
    folder = context.root / "build"
    folder.mkdir(exist_ok=True)
    (folder / "go-nogo.md").write_text(as_markdown(lines, context.commit), "utf-8")
    (folder / "go-nogo.json").write_text(as_json(lines, context.commit), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
