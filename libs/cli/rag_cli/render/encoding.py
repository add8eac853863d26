"""Results as JSON."""

import dataclasses
import json
from datetime import datetime
from typing import Any

from rag_client.models.events import Event


def to_json(value: Any) -> str:
    """One line of JSON; text is not escaped to ASCII, times are RFC 3339."""
    return json.dumps(_plain(value), ensure_ascii=False, default=_encode)


def event_line(event: Event) -> str:
    """An event as one line of JSON: its name under `event`, then its fields."""
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
