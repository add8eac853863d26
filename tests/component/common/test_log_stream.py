"""A reader of the log that stalls delays nothing, and what is lost is counted and said."""

import asyncio
import fcntl
import json
import os
import subprocess
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

from rag_common.observability.log_stream import LogStream
from rag_local.program import free_port
from tests.support.rpc import call
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[3]
LINE = "x" * 99 + "\n"


@dataclass
class Output:
    """A pipe that is read only when a test reads it, and what was said of lost lines."""

    read: int
    write: int
    dropped: int = 0
    resumed: list[int] = field(default_factory=list)

    def stream(self, **bounds: int) -> LogStream:
        return LogStream(self.write, self.drop, self.resumed.append, **bounds)

    def drop(self) -> None:
        self.dropped += 1

    def take(self) -> bytes:
        """All that is there to be read now."""
        os.set_blocking(self.read, False)
        result = b""
        while True:
            try:
                more = os.read(self.read, 2**16)
            except BlockingIOError:
                return result
            if not more:
                return result
            result += more


@pytest.fixture
def output() -> Iterator[Output]:
    created = Output(*os.pipe())
    fcntl.fcntl(created.write, fcntl.F_SETPIPE_SZ, 4096)
    yield created
    for descriptor in (created.read, created.write):
        os.close(descriptor)


@pytest.mark.parametrize("blocking", [True, False])
async def test_lines_come_whole_and_in_order(output: Output, blocking: bool) -> None:
    os.set_blocking(output.write, blocking)
    stream = output.stream()
    read = bytearray()
    for number in range(2000):
        stream.write(f"line {number} 한글\n")
    expected = "".join(f"line {number} 한글\n" for number in range(2000)).encode()
    await until(lambda: read.extend(output.take()) or len(read) >= len(expected), "all is read")
    assert bytes(read) == expected
    assert output.dropped == 0
    stream.close()


@pytest.mark.parametrize("bounds", [{"max_lines": 50}, {"max_bytes": 5000}])
async def test_lines_that_do_not_fit_are_dropped_counted_and_said_once(
    output: Output, bounds: dict[str, int]
) -> None:
    stream = output.stream(**bounds)
    began = time.monotonic()
    for _ in range(1000):
        stream.write(LINE)
    assert time.monotonic() - began < 2.0
    assert output.dropped > 500
    read = bytearray()
    await until(lambda: read.extend(output.take()) or output.resumed, "lines are taken again")
    written = (1000 - output.dropped) * len(LINE)
    await until(lambda: read.extend(output.take()) or len(read) >= written, "all is read")
    assert bytes(read) == LINE.encode() * (1000 - output.dropped)
    assert sum(output.resumed) == output.dropped
    assert len(output.resumed) == 1
    stream.close()


def test_closing_waits_for_no_reader_for_long(output: Output) -> None:
    stream = output.stream()
    for _ in range(1000):
        stream.write(LINE)
    began = time.monotonic()
    stream.close()
    assert 1.0 < time.monotonic() - began < 5.0
    # Let the thread go.
    os.set_blocking(output.read, False)
    while output.take() or stream._thread.is_alive():
        pass


async def test_a_reader_that_is_gone_costs_lines_and_nothing_else() -> None:
    output = Output(*os.pipe())
    os.close(output.read)
    stream = output.stream()
    for _ in range(100):
        stream.write(LINE)
    await until(lambda: output.dropped == 100, "all are counted as lost")
    stream.close()
    os.close(output.write)


LOGGING = (
    "import structlog; from rag_common.observability import logging as logs\n"
    "logs.configure('shop', form='json')\n"
    "for number in range(5000): structlog.get_logger().info('line', number=number)"
)


def test_all_lines_are_written_before_the_process_ends() -> None:
    done = subprocess.run([sys.executable, "-c", LOGGING], capture_output=True, check=True)
    numbers = [json.loads(line)["number"] for line in done.stdout.splitlines()]
    assert numbers == list(range(5000))


async def test_a_service_answers_though_nobody_reads_its_output() -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.common.slow"),
        cwd=ROOT,
        env={**os.environ, "ECHO_PORT": str(port)},
        stdin=PIPE,
        stdout=PIPE,
        limit=1024,
    )
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            for number in range(500):
                text = f"call {number}"
                said = await call(channel, "One", text, wait_for_ready=True, timeout=20)
                assert said == text
        process.terminate()
        # Its lines are in the way of nothing: it ends, and within the bound.
        await until(lambda: process.returncode is not None, "it ends", seconds=15)
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
