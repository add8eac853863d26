"""Builds a search graph, but only once the file UNRELIABLE_BUILD has as many lines as TRIES says.

python -m tests.support.retriever.unreliable_build <shard folder> [number field …]
Each failed try adds its line: the moment, by the machine's monotonic clock. The first one ends as if it
were killed, the others with an error; with UNRELIABLE_BUILD_HANGS all hang.
"""

import os
import signal
import sys
import time
from pathlib import Path

from rag_retriever.engines.edge.graph_build import build

if __name__ == "__main__":
    tries = Path(os.environ["UNRELIABLE_BUILD"])
    failed = len(tries.read_text().splitlines()) if tries.exists() else 0
    if failed < int(os.environ["UNRELIABLE_BUILD_TRIES"]):
        with tries.open("a") as file:
            file.write(f"{time.monotonic()}\n")
        if os.environ.get("UNRELIABLE_BUILD_HANGS"):
            time.sleep(600)
        if not failed:
            os.kill(os.getpid(), signal.SIGKILL)
        sys.exit(1)
    build(sys.argv[1], sys.argv[2:])
