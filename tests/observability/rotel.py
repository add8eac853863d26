"""rotel, a collector of OTLP that is not ours: takes what the platform sends, and passes it on to a test."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from rag_local.processes import free_port
from tests.parts import require
from tests.receiver import Receiver, by_grpc

_READY_SECONDS = 20.0


@contextmanager
def rotel(folder: Path) -> Iterator[tuple[str, Receiver]]:
    """`HOST:PORT` of its OTLP by gRPC, and where arrives what it took."""
    agent = require("rotel", "pip install rotel") / "rotel-agent"
    address = f"127.0.0.1:{free_port()}"
    with by_grpc() as receiver, (folder / "rotel.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(str(agent), "start", "--otlp-grpc-endpoint", address),
                *("--otlp-http-endpoint", f"127.0.0.1:{free_port()}"),
                *("--pid-file", str(folder / "rotel.pid"), "--batch-timeout", "200ms"),
                *("--exporter", "otlp", "--otlp-exporter-endpoint", receiver.url),
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(address, process)
            yield address, receiver
        finally:
            process.terminate()
            process.wait(10)


def _wait(address: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _READY_SECONDS
    with grpc.insecure_channel(address) as channel:
        while time.monotonic() < end and process.poll() is None:
            try:
                grpc.channel_ready_future(channel).result(1)
            except grpc.FutureTimeoutError:
                continue
            return
    raise AssertionError("rotel does not listen")
