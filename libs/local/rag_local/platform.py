"""One way to have the platform running on this machine, for a tour, a measurement or a test."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rag_local import keys
from rag_local.processes import Running, StartFailed, require_free, running, wait_healthy

ROOT = Path(__file__).resolve().parents[3]

# The first start of a machine reads the model's file from a cold disk.
_READY_SECONDS = 180.0


@contextmanager
def platform(
    home: Path, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[list[Running], float]]:
    """The four services, healthy, with data and keys in `home`; and the seconds that took.

    Raises StartFailed where a port is taken, the model cannot be made ready, or a service ends.
    """
    require_free()
    keys.ensure(home / "keys")
    prepare_model()
    began = time.monotonic()
    with running(home, {"RAG_HOME": str(home), **(environment or {})}) as services:
        wait_healthy(services, _READY_SECONDS)
        yield services, time.monotonic() - began


def prepare_model() -> None:
    """Make the embedding model ready, once. Raises StartFailed."""
    done = subprocess.run([sys.executable, "-m", "rag_embedder.library"], check=False)
    if done.returncode:
        raise StartFailed("the embedding model could not be prepared; what is above says why")


def rag(*arguments: str, home: Path) -> None:
    """The command `rag`, exactly as a user has it. Raises StartFailed where it fails."""
    done = subprocess.run(
        [Path(sys.executable).with_name("rag"), *arguments],
        env={**os.environ, "RAG_HOME": str(home)},
        check=False,
    )
    if done.returncode:
        raise StartFailed(f"`rag {arguments[0]}` failed; what is above says why")
