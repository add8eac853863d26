"""rotel, a collector of OTLP that is not ours: takes what the platform sends, and passes it on to a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from rag_local.program import free_port, run_until_ready
from tests.support.parts import require
from tests.support.receiver import Receiver, by_grpc


@contextmanager
def rotel(folder: Path) -> Iterator[tuple[str, Receiver]]:
    """`HOST:PORT` of its OTLP by gRPC, and where arrives what it took."""
    agent = require("rotel", "make test, on Python 3.11 to 3.13") / "rotel-agent"
    address = f"127.0.0.1:{free_port()}"
    with by_grpc() as receiver:
        command = [
            *(str(agent), "start", "--otlp-grpc-endpoint", address),
            *("--otlp-http-endpoint", f"127.0.0.1:{free_port()}"),
            *("--pid-file", str(folder / "rotel.pid"), "--batch-timeout", "200ms"),
            *("--exporter", "otlp", "--otlp-exporter-endpoint", receiver.url),
        ]
        with run_until_ready(command, lambda: _ready(address), folder / "rotel.log"):
            yield address, receiver


def _ready(address: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        try:
            grpc.channel_ready_future(channel).result(1)
        except grpc.FutureTimeoutError:
            return False
    return True
