"""A real Valkey or Redis on a free port that keeps nothing: started, killed, frozen and restarted by tests."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rag_local.backends.redis import PROGRAMS
from rag_local.child import end, kill
from rag_local.program import free_port, start_logged, wait_ready
from tests.support.parts import tool

_INSTALL = "make test installs it, or apt-get install valkey or redis"
_SECONDS = 20.0


class RedisServer:
    """One server, on the same port each time it starts."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._program = tool(PROGRAMS, _INSTALL)
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self, *options: str) -> None:
        """Start, with more options if given, and return when it answers."""
        command = [
            *(self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""),
            *("--appendonly", "no", "--dir", str(self._folder), *self._options, *options),
        ]
        log = self._folder / "log"
        self._process = start_logged(command, log)
        wait_ready(self._process, self._program, log, self._answers, _SECONDS)

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process:
            kill(self._process)
            self._process = None

    def stop(self) -> None:
        """End it, where it runs."""
        if self._process:
            end(self._process, _SECONDS)
            self._process = None

    def freeze(self) -> None:
        """Leave its connections open and answer nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process:
            os.kill(self._process.pid, number)

    def _answers(self) -> bool:
        """Whether it says anything to a PING, which a server that wants a password does too."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1.0) as connection:
                connection.settimeout(1.0)
                connection.sendall(b"PING\r\n")
                return connection.recv(1) in (b"+", b"-")
        except OSError:
            return False


@contextmanager
def redis_server(*options: str) -> Iterator[RedisServer]:
    """A server that runs while inside. Skips, or fails in CI, when there is none."""
    with TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(Path(folder), *options)
        server.start()
        try:
            yield server
        finally:
            server.stop()
