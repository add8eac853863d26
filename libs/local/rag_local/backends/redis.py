"""A local Valkey or Redis without persistence, with a password that is not visible in process lists."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rag_local.child import end
from rag_local.program import free_port, listens, program, start_logged, wait_ready

# In the order of preference; both have the same protocol.
PROGRAMS = ("valkey-server", "redis-server")
_INSTALL = "`make run VAULT=1` or `make test` installs it, or apt-get install valkey or redis"
_READY_SECONDS = 10.0


@dataclass(slots=True)
class LocalRedis:
    """A running server. After `restart` it is empty, as nothing is on disk."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes]"
    configuration: str = field(repr=False)
    name: str = "redis"

    @property
    def url(self) -> str:
        """The URL of its database."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.folder / "redis.log"

    def restart(self) -> None:
        """Start it again after it has ended, at the same port and with the same password."""
        self.process = _start(self.log, self.configuration)

    def healthy(self) -> bool:
        """Whether it accepts connections."""
        return listens(self.port)


@contextmanager
def run_redis(folder: Path, password: str, port: int = 0) -> Iterator[LocalRedis]:
    """Run a server inside the block. Raises StartFailed."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    port, log = port or free_port(), folder / "redis.log"
    log.unlink(missing_ok=True)
    configuration = _configuration(folder, password, port)
    running = LocalRedis(folder, port, _start(log, configuration), configuration)
    try:
        wait_ready(running.process, PROGRAMS[0], log, running.healthy, _READY_SECONDS)
        yield running
    finally:
        end(running.process, _READY_SECONDS)


@contextmanager
def redis_server(folder: Path, password: str, port: int = 0) -> Iterator[str]:
    """Run a server inside the block; yield its URL. Raises StartFailed."""
    with run_redis(folder, password, port) as running:
        yield running.url


def _start(log: Path, configuration: str) -> "subprocess.Popen[bytes]":
    process = start_logged([program(PROGRAMS, _INSTALL), "-"], log, stdin=subprocess.PIPE)
    assert process.stdin  # noqa: S101  # it is a PIPE
    process.stdin.write(configuration.encode())
    process.stdin.close()
    return process


def _configuration(folder: Path, password: str, port: int) -> str:
    """The configuration for standard input, as arguments and files could be read by other users."""
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
