"""One worker process as the service sees it: started, asked, ended."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import Self

import structlog

from rag_common.errors import Unavailable
from rag_retriever.adapters.frames import SIZES

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Bounds of the worker processes: how many, how long, how much.

    `memory` is in bytes of address space, times in seconds and a document. `waiting` documents
    may queue for a worker. A worker is replaced after `documents`, and ends after `idle` seconds
    without work. Plain text of at most `inline` bytes is split in a thread instead.
    """

    workers: int = 2
    waiting: int = 16
    memory: int = 1024 * 1024 * 1024
    cpu_seconds: int = 60
    wall_seconds: float = 120.0
    start_seconds: float = 30.0
    documents: int = 200
    idle: float = 60.0
    inline: int = 64 * 1024


class WorkerEndedError(Exception):
    """The process ended without an answer."""


class WorkerProcess:
    """One process that splits one document at a time.

    `answered` counts its documents; `worked` is how many seconds it says the last one took, from
    the first byte on: not to be believed, for a document may have taken it over.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self.answered = 0
        self.worked = 0.0

    @classmethod
    async def start(cls, settings: WorkerSettings) -> Self:
        """A process that has loaded its parsers; Unavailable if it does not come up."""
        ours, theirs = socket.socketpair()
        with theirs:
            streams = await asyncio.open_connection(sock=ours)
            process = _spawned(settings, theirs)
        worker = cls(process, *streams)
        try:
            async with asyncio.timeout(settings.start_seconds):
                await worker._received()
        except (TimeoutError, WorkerEndedError) as error:
            await worker.kill()
            log.error("worker_did_not_start", returncode=process.returncode)
            raise Unavailable("no worker for documents could be started") from error
        except BaseException:
            await worker.kill()
            raise
        return worker

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self.returncode is None

    @property
    def returncode(self) -> int | None:
        return self._process.poll()

    @property
    def out_of_time(self) -> bool:
        return self.returncode == -signal.SIGXCPU

    async def ask(self, data: bytes) -> tuple[bytes, bytes]:
        """Sends the frame; the header and the body of the answer. Raises WorkerEndedError."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError as error:
            raise WorkerEndedError from error
        answer = await self._received()
        self.answered += 1
        return answer

    def end(self) -> None:
        """Lets the process end by closing its input, and reaps it when it has."""
        self._writer.close()
        asyncio.get_running_loop().run_in_executor(None, self._process.wait)

    async def kill(self) -> None:
        """Ends the process at once and reaps it."""
        self._process.kill()
        self._writer.close()
        await asyncio.to_thread(self._process.wait)

    async def _received(self) -> tuple[bytes, bytes]:
        try:
            head, body, self.worked = SIZES.unpack(await self._reader.readexactly(SIZES.size))
            return await self._reader.readexactly(head), await self._reader.readexactly(body)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise WorkerEndedError from error


def _spawned(settings: WorkerSettings, connection: socket.socket) -> subprocess.Popen[bytes]:
    """A fresh interpreter that inherits no environment, and so no secrets.

    Popen uses vfork, which runs no fork handlers; the spawn of uvloop forks, and gRPC's handlers
    would stop its threads for it.
    """
    return subprocess.Popen(  # noqa: S603
        [
            *(sys.executable, "-P", "-m", "rag_retriever.adapters.worker"),
            *(str(settings.memory), str(settings.cpu_seconds)),
        ],
        stdin=connection.fileno(),
        stdout=connection.fileno(),
        stderr=subprocess.DEVNULL,
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "LANG": "C.UTF-8"},
    )
