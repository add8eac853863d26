"""Writes the figures of the images that were built into docs/benchmarks.md: python -m tools.images.table.

It starts their services, which takes a minute and needs root; measure on an idle machine.
"""

from collections.abc import Mapping

from tools.bench.report import PAGE, Row, rendered, update
from tools.images.build import records
from tools.images.ready import ready_seconds


def rows(ready: Mapping[str, float]) -> list[Row]:
    """A row for each image: MB of unpacked files, in all and above the base, and seconds until ready."""
    return [
        {
            "image": f"rag-{image}",
            "MB": round(record["bytes"] / 1e6),
            "MB above the base": round((record["bytes"] - record["base_bytes"]) / 1e6),
            "ready, s": f"{ready[image]:.2f}" if image in ready else "",
        }
        for image, record in sorted(records().items())
    ]


if __name__ == "__main__":
    update(PAGE, {"Images": rendered(rows(ready_seconds()))})
