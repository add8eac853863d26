"""A local Valkey or Redis without persistence, with a password that is not visible in process lists."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag_local.child import end
from rag_local.program import free_port, listens, program, start_logged, wait_ready

# In the order of preference; both have the same protocol.
PROGRAMS = ("valkey-server", "redis-server")
_INSTALL = "`make run VAULT=1` or `make test` installs it, or apt-get install valkey or redis"
_READY_SECONDS = 10.0


@contextmanager
def redis_server(folder: Path, password: str, port: int = 0) -> Iterator[str]:
    """Run a server inside the block; yield its URL. Raises StartFailed."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    port = port or free_port()
    log = folder / "redis.log"
    log.unlink(missing_ok=True)
    process = start_logged([program(PROGRAMS, _INSTALL), "-"], log, stdin=subprocess.PIPE)
    assert process.stdin  # noqa: S101  # it is a PIPE
    process.stdin.write(_configuration(folder, password, port).encode())
    process.stdin.close()
    try:
        wait_ready(process, PROGRAMS[0], log, lambda: listens(port), _READY_SECONDS)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        end(process, _READY_SECONDS)


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
