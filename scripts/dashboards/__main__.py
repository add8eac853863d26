"""Write deploy/observability/grafana/dashboards; with --check, only say whether it is current."""

import sys
from pathlib import Path

from scripts.dashboards.boards import BOARDS
from scripts.dashboards.grafana import render

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "observability" / "grafana" / "dashboards"


def main() -> int:
    made = {f"{board.uid}.json": render(board) for board in BOARDS}
    if "--check" in sys.argv:
        found = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.json")}
        stale = sorted(name for name in made.keys() | found if made.get(name) != found.get(name))
        for name in stale:
            sys.stderr.write(
                f"{name} is not what scripts/dashboards says; run it without --check\n"
            )
        return bool(stale)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in FOLDER.glob("*.json"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        FOLDER.joinpath(name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
