"""A tool that has started programs and grandchildren, and waits: `tool.py HOW`; prints their ids."""

import subprocess
import sys
import threading

from rag_local.child import end, run, spawn
from rag_local.signals import Stopped, stopped_by_signals

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
# Starts a grandchild, prints its id, and waits.
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""
# Stops, as if it hung.
STOPS = """
import os, signal
print("stops", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
"""


def main(how: str) -> None:
    with stopped_by_signals():
        children = [spawn(SLEEP)]
        created = threading.Thread(target=lambda: children.append(spawn(SLEEP)))
        created.start()
        # A child whose thread has ended is not to end with the thread.
        created.join()
        parent = spawn([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
        assert parent.stdout
        grandchild = int(parent.stdout.readline())
        stopped = spawn([sys.executable, "-c", STOPS], stdout=subprocess.PIPE)
        assert stopped.stdout
        stopped.stdout.readline()
        ended = spawn(["true"])
        ended.wait()
        end(ended, 1)
        ids = [*(child.pid for child in children), parent.pid, grandchild, stopped.pid]
        sys.stdout.write(" ".join(map(str, ids)) + "\n")
        sys.stdout.flush()
        if how == "raises":
            raise RuntimeError("the tool breaks")
        if how == "runs":
            run(SLEEP)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Stopped as stopped:
        sys.exit(stopped.code)
