"""Where and for which commit the checklist runs, and how it runs a command."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

# A number of hexadecimal digits from which a shortened commit is taken as unambiguous.
_SHORTEST_COMMIT = 7
TIMED_OUT = 124
_PARENT_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended: its exit code and all that it printed."""

    code: int
    output: str

    @property
    def last_line(self) -> str:
        """The last line of its output that is not blank."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1][:200] if lines else "no output"


@dataclass(frozen=True, slots=True)
class Context:
    """A checkout at a commit.

    With `run_all`, commands that take long run too. Otherwise their last result is read, which
    counts only if it is of this commit.
    """

    root: Path
    commit: str
    run_all: bool = False

    def is_current(self, commit: object) -> bool:
        """Whether this names the checkout's commit, in full or shortened."""
        text = str(commit or "")
        return len(text) >= _SHORTEST_COMMIT and self.commit.startswith(text)

    def run(self, command: str, timeout_s: int) -> Ran:
        """Run a shell command; the exit code is `TIMED_OUT` if it takes longer than `timeout_s`."""
        environment = {k: v for k, v in os.environ.items() if k not in _PARENT_MAKE}
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        process = subprocess.Popen(
            [shutil.which("bash") or "bash", "-c", command],
            cwd=self.root,
            env={**environment, "PATH": programs},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return Ran(TIMED_OUT, process.communicate()[0])
        return Ran(process.returncode, output)


def head(root: Path) -> str:
    """The full commit of a checkout."""
    command = ["git", "rev-parse", "HEAD"]
    return subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=True
    ).stdout.strip()


def now() -> str:
    """The time, as evidence states it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
