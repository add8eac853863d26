"""Writes the sizes of the images that were built into docs/benchmarks.md: python -m tools.images.table."""

from tools.bench.report import PAGE, Row, rendered, update
from tools.images.build import records


def rows() -> list[Row]:
    """A row for each image: its size, and what of it is above the base, in MB of unpacked files."""
    return [
        {
            "image": f"rag-{image}",
            "MB": round(record["bytes"] / 1e6),
            "MB above the base": round((record["bytes"] - record["base_bytes"]) / 1e6),
        }
        for image, record in sorted(records().items())
    ]


if __name__ == "__main__":
    update(PAGE, {"Images": rendered(rows())})
