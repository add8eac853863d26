"""Write deploy/observability/grafana/dashboards; with --check, only say whether it is current."""

import sys

from tools import ROOT
from tools.dashboards.capacity import CAPACITY
from tools.dashboards.edge import EDGE
from tools.dashboards.grafana import render
from tools.dashboards.journey import JOURNEY
from tools.dashboards.overview import OVERVIEW
from tools.dashboards.quality import QUALITY
from tools.dashboards.stores import STORES
from tools.dashboards.tenants import TENANTS

# In the order in which one goes from one to the next.
BOARDS = (OVERVIEW, JOURNEY, QUALITY, TENANTS, CAPACITY, STORES, EDGE)
FOLDER = ROOT / "deploy" / "observability" / "grafana" / "dashboards"


def main() -> int:
    created = {f"{board.uid}.json": render(board) for board in BOARDS}
    if "--check" in sys.argv:
        result = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.json")}
        stale = sorted(
            name for name in created.keys() | result if created.get(name) != result.get(name)
        )
        for name in stale:
            sys.stderr.write(f"{name} is not what tools/dashboards says; run it without --check\n")
        return bool(stale)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in FOLDER.glob("*.json"):
        if path.name not in created:
            path.unlink()
    for name, text in created.items():
        FOLDER.joinpath(name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
