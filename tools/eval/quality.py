"""Quality through a running gateway, on the sets of a folder: evaluate.py DATA [OUTPUT]."""

import os
import sys
from pathlib import Path

from rag_local.child import run
from rag_local.platform import platform, rag
from rag_local.program import StartFailed
from rag_local.signals import run_tool

_HEAD = """# Quality

Measured through a running gateway with default settings, by `make eval DATA=…`. Every passage of a
data set is a document of one or a few chunks; results are judged by document. Each data set is a
collection of its own in one index, so passages of different sets do not compete. An arrow means
questions of one set over the passages of another. Answers are from the extractive backend. “Answer
in two quotes” is the share of questions whose known answer is in the first two quoted sentences.
“Declined without evidence” repeats the questions with a filter that excludes the right passages.
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
        calibrate(output)
    except StartFailed as error:
        sys.stderr.write(f"make eval: {error}\n")
        return 1
    return 0


def calibrate(page: str) -> None:
    """Write the section on our own questions into the page. Raises StartFailed where that fails."""
    done = run([sys.executable, "-m", "tools.eval.calibration", page])
    if done.returncode:
        raise StartFailed(
            f"tools.eval.calibration ended with code {done.returncode}; what is above says why, "
            f"and the rest of {page} is written"
        )


if __name__ == "__main__":
    sys.exit(run_tool(main))
