"""Quality through a running gateway, on the sets of a folder: evaluate.py DATA [OUTPUT]."""

import os
import sys
from pathlib import Path

from rag_local.platform import platform, rag
from rag_local.processes import StartFailed

_HEAD = """# Quality

Through the running gateway, with the defaults, by `make eval DATA=…`. Every passage of a set is a
document of one chunk or a few; what is judged is the document. The sets' own passages are compared
with nothing else: each set is a collection of its own in one index. Arrows are questions of one set
asked of the other's passages. Answers are those of the extractive backend: “answer in two quotes”
is the share of questions whose known answer stands in the first two quoted sentences; “without
evidence” asks again with the right passages shut out by a filter.
"""


def main() -> int:
    if len(sys.argv) < 2 or not Path(sys.argv[1]).is_dir():
        sys.stderr.write("say where the sets are: make eval DATA=folder\n")
        return 2
    home = Path(os.environ.get("RAG_HOME", ".rag")) / "eval"
    models = os.environ.get("EMBEDDER_MODELS_DIR", str(home.parent / "models"))
    os.environ["EMBEDDER_MODELS_DIR"] = models
    output = sys.argv[2] if len(sys.argv) > 2 else "docs/quality.md"
    try:
        with platform(home) as running:
            sets = ["--fusion", "rrf", "--fusion", "dbsf", "--answers", "500"]
            rag("eval", sys.argv[1], *sets, "--markdown", output, access=running.access)
        found = Path(output).read_text("utf-8")
        Path(output).write_text(f"{_HEAD}\n{found}", "utf-8")
    except StartFailed as error:
        sys.stderr.write(f"make eval: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
