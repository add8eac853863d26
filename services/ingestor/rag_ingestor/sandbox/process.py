"""The service's handle of a worker process: starts it, sends it requests, ends it."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import Self

import structlog

from rag_contract.errors import DependencyDown
from rag_ingestor.sandbox.ipc import SIZES

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Number and limits of the worker processes.

    `queue_limit` documents may wait for a worker. `memory_bytes` limits a worker's address space;
    `cpu_seconds` and `wall_seconds` apply to each document. A worker is replaced after
    `documents_per_worker`, and ends after `idle_seconds` without work. Plain text of at most
    `inline_bytes` is split in a thread instead.
    """

    workers: int = 2
    queue_limit: int = 16
    memory_bytes: int = 1024 * 1024 * 1024
    cpu_seconds: int = 60
    wall_seconds: float = 120.0
    start_seconds: float = 30.0
    documents_per_worker: int = 200
    idle_seconds: float = 60.0
    inline_bytes: int = 64 * 1024


class WorkerEndedError(Exception):
    """The process ended without a response."""


class WorkerProcess:
    """A process that splits one document at a time.

    `answered` counts its documents. `reported_seconds` is the duration that it reported for the last
    one, from the first byte on: untrusted, since a malicious document may control the process.
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
        self.reported_seconds = 0.0

    @classmethod
    async def start(cls, settings: WorkerSettings) -> Self:
        """Start a process and wait until it has loaded its parsers. Raises Unavailable if it fails."""
        ours, theirs = socket.socketpair()
        with theirs:
            streams = await asyncio.open_connection(sock=ours)
            process = _spawn(settings, theirs)
        worker = cls(process, *streams)
        try:
            async with asyncio.timeout(settings.start_seconds):
                await worker._receive()
        except (TimeoutError, WorkerEndedError) as error:
            await worker.kill()
            log.error("worker_did_not_start", returncode=process.returncode)
            raise DependencyDown("could not start a document worker") from error
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

    async def request(self, data: bytes) -> tuple[bytes, bytes]:
        """Send the frame and return the response's header and body. Raises WorkerEndedError."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError as error:
            raise WorkerEndedError from error
        response = await self._receive()
        self.answered += 1
        return response

    def end(self) -> None:
        """Close the process's input so that it ends, and reap it in the background."""
        self._writer.close()
        asyncio.get_running_loop().run_in_executor(None, self._process.wait)

    async def kill(self) -> None:
        """Kill the process and reap it."""
        self._process.kill()
        self._writer.close()
        await asyncio.to_thread(self._process.wait)

    async def _receive(self) -> tuple[bytes, bytes]:
        try:
            head, body, self.reported_seconds = SIZES.unpack(
                await self._reader.readexactly(SIZES.size)
            )
            return await self._reader.readexactly(head), await self._reader.readexactly(body)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise WorkerEndedError from error


def _spawn(settings: WorkerSettings, connection: socket.socket) -> subprocess.Popen[bytes]:
    """Start a new interpreter that inherits no environment variables, and so no secrets.

    Popen uses vfork, which runs no fork handlers; uvloop's spawn forks, and gRPC's fork handlers would
    stop its threads.
    """
    return subprocess.Popen(  # noqa: S603
        [
            *(sys.executable, "-P", "-m", "rag_ingestor.sandbox.worker"),
            *(str(settings.memory_bytes), str(settings.cpu_seconds)),
        ],
        stdin=connection.fileno(),
        stdout=connection.fileno(),
        stderr=subprocess.DEVNULL,
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "LANG": "C.UTF-8"},
    )
