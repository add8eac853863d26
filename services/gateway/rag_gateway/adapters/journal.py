"""The audit log's own file: lines are added to it, and nobody but its owner reads it."""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

log = structlog.get_logger()


@dataclass(slots=True)
class Journal:
    """A file, opened by entering; its lines are JSON objects."""

    path: Path
    _handle: int = field(default=-1, init=False)
    _failing: bool = field(default=False, init=False)

    def __enter__(self) -> Self:
        """Raises OSError where the file cannot be opened, or is not a plain file."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._handle = os.open(self.path, flags, 0o600)
        if not stat.S_ISREG(os.fstat(self._handle).st_mode):
            os.close(self._handle)
            raise OSError(f"{self.path} is not a plain file")
        os.fchmod(self._handle, 0o600)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        os.close(self._handle)

    def write(self, facts: Mapping[str, str | int]) -> None:
        """Add a line. A disk that is full stops no call: the log stream has the event too."""
        line = {"timestamp": datetime.now(UTC).isoformat(), **facts}
        try:
            os.write(self._handle, (json.dumps(line, ensure_ascii=False) + "\n").encode())
        except OSError as error:
            if not self._failing:
                log.error("audit_file_unwritable", error=type(error).__name__)
            self._failing = True
        else:
            self._failing = False
