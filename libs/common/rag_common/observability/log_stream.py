"""Standard output for log lines, written by a thread, so that a slow reader delays no call."""

import atexit
import os
import select
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TextIO

MAX_LINES, MAX_BYTES = 20_000, 8 * 2**20

# How long the process's exit waits for queued lines to be written.
_CLOSE_SECONDS = 2.0
_BATCH = 256
# Lines are written together: a thread that wakes for each takes the interpreter from the calls.
_COLLECT_SECONDS = 0.05


class LogStream:
    """A text file whose `write` queues a line and returns at once.

    The queue holds at most `max_lines` lines and `max_bytes` bytes. A line that does not fit is
    dropped, and `dropped` is called. Once lines can be written again, `resumed` is called with the
    number of lines dropped since its last call, from the writing thread.
    """

    def __init__(
        self,
        descriptor: int,
        dropped: Callable[[], None] = lambda: None,
        resumed: Callable[[int], None] = lambda _lines: None,
        *,
        max_lines: int = MAX_LINES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._descriptor = descriptor
        self._dropped = dropped
        self._resumed = resumed
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._waiting_bytes = 0
        self._lost = 0
        self._urgent = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, text: str) -> int:
        """Queue a complete line including its line end; return the number of its characters."""
        line = text.encode("utf-8", "backslashreplace")
        with self._lock:
            fits = (
                self._queue.qsize() < self._max_lines
                and self._waiting_bytes + len(line) <= self._max_bytes
            )
            if fits:
                self._waiting_bytes += len(line)
                self._queue.put(line)
            else:
                self._lost += 1
        if not fits:
            self._dropped()
        return len(text)

    def flush(self) -> None:
        """Do nothing: the thread writes queued lines within 50 ms."""

    def hurry(self) -> None:
        """Have the thread write the queued lines now: a line that reports a fault may be the last one."""
        self._urgent.set()

    def close(self) -> None:
        """Return when all lines have been written, or after two seconds."""
        atexit.unregister(self.close)
        self._urgent.set()
        self._queue.put(None)
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        last = False
        while not last:
            lines, last = self._next_batch()
            data = b"".join(lines)
            if not self._written(data):
                self._lose(len(lines))
            with self._lock:
                self._waiting_bytes -= len(data)
                lost, self._lost = self._lost, 0
            if lost and not last:
                self._resumed(lost)

    def _next_batch(self) -> tuple[list[bytes], bool]:
        """Wait for a line, and a moment for more; return up to `_BATCH`, and whether they are the last."""
        lines: list[bytes] = []
        try:
            while len(lines) < _BATCH:
                line = self._queue.get(block=not lines)
                if line is None:
                    return lines, True
                lines.append(line)
                if len(lines) == 1:
                    self._collect()
        except Empty:
            pass
        return lines, False

    def _collect(self) -> None:
        """Give further lines time to arrive, unless a batch of them is there, or one is urgent."""
        if self._queue.qsize() < _BATCH:
            self._urgent.wait(_COLLECT_SECONDS)
        self._urgent.clear()

    def _written(self, data: bytes) -> bool:
        """Write all the data, however long that takes; False if the output is closed."""
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                # Another process that shares the pipe has made it non-blocking.
                select.select([], [self._descriptor], [])
            except OSError:
                return False
        return True

    def _lose(self, lines: int) -> None:
        for _ in range(lines):
            self._dropped()


def log_stream(
    output: TextIO, dropped: Callable[[], None], resumed: Callable[[int], None]
) -> "LogStream | TextIO":
    """A LogStream on the file descriptor of `output`, or `output` itself if it has none (memory)."""
    try:
        descriptor = output.fileno()
    except (OSError, ValueError, AttributeError):
        return output
    output.flush()
    return LogStream(descriptor, dropped, resumed)
