"""Results as JSON, for programs."""

import dataclasses
import json
from datetime import datetime
from typing import Any

from rag_client.events import Event


def to_json(value: Any) -> str:
    """One line of JSON; text stays readable, times are RFC 3339."""
    return json.dumps(_plain(value), ensure_ascii=False, default=_encode)


def event_line(event: Event) -> str:
    """One event as a line: its name under `event`, then what it says."""
    name = type(event).__name__.lower()
    return to_json({"event": name, **dataclasses.asdict(event)})


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value


def _encode(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return _plain(value)
