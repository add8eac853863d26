"""Restarts services that have ended, with exponential backoff."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from rag_common.backoff import exponential
from rag_local.child import ended_children, release, start_mark
from rag_local.program import last_log_line
from rag_local.service_processes import ServiceProcess

_POLL_SECONDS = 0.2
_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds before a restart: `first`, doubled with each failure, and at most `max_seconds`.

    A service that was healthy for `reset_after` seconds begins at `first` again.
    """

    first: float = 1.0
    max_seconds: float = 30.0
    reset_after: float = 60.0

    def seconds(self, deaths: int) -> float:
        """The pause in seconds after the given number of failures in a row, at least 1."""
        return exponential(deaths, self.first, self.max_seconds)


class Service(Protocol):
    """A supervised program. `restart` starts a new process; `healthy` is whether it serves."""

    @property
    def name(self) -> str: ...

    @property
    def log(self) -> Path: ...

    @property
    def process(self) -> "subprocess.Popen[bytes]": ...

    def restart(self) -> None: ...

    def healthy(self) -> bool: ...


class Supervised:
    """The state of one service: up, ended and due for a restart, or starting."""

    def __init__(self, service: Service, say: Callable[[str], None], backoff: Backoff) -> None:
        self._service = service
        self._say = say
        self._backoff = backoff
        self.deaths = 0
        # Failures without a long enough healthy time between them.
        self._in_a_row = 0
        self._due: float | None = None
        self._healthy_since: float | None = 0.0
        self._died = 0.0

    @property
    def up(self) -> bool:
        """Whether it runs and has been healthy since its last start."""
        return self._due is None and self._healthy_since is not None

    def step(self, now: float) -> None:
        """Check the process once, and restart it if that is due."""
        if self._due is not None:
            if now >= self._due:
                self._restart(now)
        elif self._service.process.poll() is not None:
            self._note_death(now)
        elif self._healthy_since is None and self._service.healthy():
            self._healthy_since = now
            self._say(f"the {self._service.name} is healthy again, {now - self._died:.1f} s later")

    def _note_death(self, now: float) -> None:
        since, self._healthy_since = self._healthy_since, None
        if since is not None and now - since >= self._backoff.reset_after:
            self._in_a_row = 0
        self._in_a_row += 1
        self.deaths += 1
        self._died = now if since is not None else self._died
        pause = self._backoff.seconds(self._in_a_row)
        self._due = now + pause
        # Its children could hold resources that the next process needs, such as the index's lock.
        release(self._service.process)
        self._say(
            f"the {self._service.name} ended ({ending(self._service.process.returncode)}); "
            f"restarting it in {pause:.0f} s. Last log line: {last_log_line(self._service.log)}"
        )

    def _restart(self, now: float) -> None:
        self._due = None
        try:
            self._service.restart()
        except Exception as error:  # of any kind: the next attempt may succeed
            self._in_a_row += 1
            pause = self._backoff.seconds(self._in_a_row)
            self._due = now + pause
            self._say(
                f"the {self._service.name} cannot be started: {error}; next attempt in {pause:.0f} s"
            )


def ending(code: int) -> str:
    """Describe an exit code of subprocess: `exit code 2`, `killed by SIGKILL`."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(_POLL_SECONDS)
    return True


class Supervisor:
    """Supervises services in its own thread.

    It reports once each other program spawned after the mark `since` (child.start_mark) that ends, such
    as Vault, Redis or Prometheus, without restarting it: a restart would lose its state, or needs the
    complete start-up. None is the present moment.

    Supervision continues after any error: a line that cannot be written is lost, and a check that fails
    is reported once and repeated.
    """

    def __init__(
        self,
        services: Sequence[Service],
        say: Callable[[str], None],
        backoff: Backoff,
        since: int | None = None,
    ) -> None:
        self._services = services
        self._write = say
        self._since = start_mark() if since is None else since
        self._supervised = [Supervised(service, self._say, backoff) for service in services]
        # The error of the last check by name, if it failed.
        self._failed: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    @property
    def deaths(self) -> int:
        """How many times services have ended so far."""
        return sum(one.deaths for one in self._supervised)

    def wait_for_death(self, before: int) -> bool:
        """Whether `deaths` exceeds `before`, after waiting for the next checks."""
        return _until(lambda: self.deaths > before, 5 * _POLL_SECONDS)

    def wait_all_up(self, seconds: float) -> bool:
        """Return True once all services are up, or False after `seconds`."""
        return _until(lambda: all(one.up for one in self._supervised), seconds)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop supervising; running processes are left running."""
        self._stop.set()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while not self._stop.wait(_POLL_SECONDS):
            for service, one in zip(self._services, self._supervised, strict=True):
                if not self._stop.is_set():
                    self._try(service.name, partial(one.step, time.monotonic()))
            self._try("other programs", self.report_others)

    def _try(self, name: str, check: Callable[[], None]) -> None:
        """Run the check; report an error unless it is the same as the last one."""
        try:
            check()
        except Exception as error:  # of any kind: the other services need the thread
            text = f"{type(error).__name__}: {error}"
            if self._failed.get(name) != text:
                self._failed[name] = text
                self._say(f"supervising the {name} failed and will be retried: {text}")
        else:
            self._failed.pop(name, None)

    def _say(self, text: str) -> None:
        """Print the line, unless standard output is closed."""
        with suppress(OSError, ValueError):
            self._write(text)

    def report_others(self) -> None:
        """Report each ended program that is not supervised, and so is not restarted.

        It is released at once: its leftover processes are killed while its id cannot be reused.
        """
        supervised = [service.process for service in self._services]
        for child in ended_children(self._since):
            if child.process not in supervised:
                release(child.process)
                self._say(
                    f"{child.name} ended ({ending(child.process.returncode)}) and is not restarted: "
                    "stop `make run` and start it again"
                )


@contextmanager
def supervised(
    services: Sequence[ServiceProcess],
    say: Callable[[str], None],
    others: Sequence[Service] = (),
    backoff: Backoff | None = None,
    since: int | None = None,
) -> Iterator[Supervisor]:
    """Restart the `services` and `others` that end inside the block; each step is reported by `say`.

    Other programs spawned after the mark `since` that end are reported, as by Supervisor.
    """
    programs: list[Service] = [*services, *others]
    supervisor = Supervisor(programs, say, backoff or Backoff(), since)
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.stop()
