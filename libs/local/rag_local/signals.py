"""SIGTERM and SIGHUP end a tool as Ctrl-C does: `finally` blocks run, and stop what it has started."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """This process got a signal to stop. `code` is the exit code that shells use for the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Raise Stopped in the block at the first of the signals, and ignore further ones until its end.

    A second signal could otherwise interrupt the clean-up and leave processes running. Signals that
    this process ignored at its start, as under nohup, stay ignored. Outside of the main thread, where
    no handler can be set, signals are not handled.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in STOPPING}
    handled = [number for number in STOPPING if previous[number] is not signal.SIG_IGN]

    def stop(number: int, _frame: FrameType | None) -> None:
        for one in handled:
            signal.signal(one, signal.SIG_IGN)
        raise Stopped(number)

    try:
        for number in handled:
            signal.signal(number, stop)
        yield
    finally:
        for number in handled:
            signal.signal(number, previous[number])


def run_tool(main: Callable[[], int]) -> int:
    """The exit code of a tool's `main`, also if a signal stops it."""
    with stopped_by_signals():
        try:
            return main()
        except Stopped as stopped:
            return stopped.code


def ignore_signals() -> None:
    """Ignore the signals from now on, so that the shutdown is not interrupted."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
