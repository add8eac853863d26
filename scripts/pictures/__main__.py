"""Start the platform, have it used and hurt for two minutes, and draw what was seen: [FOLDER]."""

import asyncio
import os
import sys
from pathlib import Path

from scripts.pictures.course import Course, course
from scripts.pictures.figures import FIGURES
from scripts.pictures.plots import drawn
from scripts.pictures.ranges import Ranges
from scripts.pictures.terminals import TERMINALS, framed

from rag_common import logs
from rag_local.platform import Parts, Platform, platform
from rag_local.processes import StartFailed

# All that is written; docs/operations.md shows them.
NAMES = tuple(f"{name}.svg" for name in [*(f.name for f in FIGURES), *(t.name for t in TERMINALS)])
# Small enough that a burst of documents fills it, and is refused, within seconds.
_QUEUE_TEXTS = "128"


def main() -> int:
    home = Path(os.environ.get("RAG_HOME", ".rag")) / "pictures"
    models = Path(os.environ.get("EMBEDDER_MODELS_DIR", home.parent / "models"))
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images")
    settings = {
        "EMBEDDER_MODELS_DIR": str(models.resolve()),
        "EMBEDDER_QUEUE_TEXTS": _QUEUE_TEXTS,
    }
    os.environ |= settings
    logs.configure("local", "warning", "console")
    try:
        with platform(home, parts=Parts(edge=True, traces=True, observe=True)) as started:
            pictures = taken(home, started)
    except StartFailed as error:
        sys.stderr.write(f"make pictures: {error}\n")
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in pictures.items():
        (folder / name).write_text(content, "utf-8")
        say(f"{folder / name}: {len(content.encode()) / 1024:.0f} KB")
    return 0


def taken(home: Path, started: Platform) -> dict[str, str]:
    """Each picture by its file's name. Raises StartFailed."""
    ran = asyncio.run(course(home, started, say))
    return {**plots(home, started, ran), **terminals(ran)}


def plots(home: Path, started: Platform, ran: Course) -> dict[str, str]:
    """What Prometheus has seen of it. Raises StartFailed where it has seen nothing."""
    if not started.watched:
        raise StartFailed("Prometheus does not run")
    ranges = Ranges(started.watched.prometheus, home, ran.began, ran.ended)
    return {f"{one.name}.svg": drawn(one, ranges, ran.moments) for one in FIGURES}


def terminals(ran: Course) -> dict[str, str]:
    """What the command `rag` has said."""
    return {f"{one.name}.svg": framed(one, ran.said[one.name]) for one in TERMINALS}


def say(what: str) -> None:
    sys.stderr.write(f"{what}\n")


if __name__ == "__main__":
    sys.exit(main())
