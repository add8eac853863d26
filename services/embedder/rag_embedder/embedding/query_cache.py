"""The embeddings of recent queries: a repeated question costs no model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cachetools import LRUCache

Value = TypeVar("Value")

# A longer query is not kept. An entry of a short one has 4 kB, of one of this length up to 12 kB: the
# vector, the terms with their numbers, and the text.
_MAX_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class QueryKey:
    """What a query's embedding depends on, and its tenant.

    The tenant is part of it because a hit is faster than a miss: it would tell one tenant what another
    has asked.
    """

    tenant: str
    text: str
    dense: bool
    sparse: bool
    truncate: bool


class QueryCache(Generic[Value]):
    """The least recently used are dropped above `size` entries; 0 keeps none.

    It belongs to one loaded model, whose embeddings never change. `on_lookup` is called with whether the
    query was there.
    """

    def __init__(self, size: int, on_lookup: Callable[[bool], None] = lambda _hit: None) -> None:
        self._entries: LRUCache[QueryKey, Value] = LRUCache(max(size, 1))
        self._enabled = size > 0
        self._on_lookup = on_lookup

    def get(self, key: QueryKey) -> Value | None:
        """The value, None if it is not there."""
        if not self._enabled:
            return None
        found = self._entries.get(key)
        self._on_lookup(found is not None)
        return found

    def put(self, key: QueryKey, value: Value) -> None:
        """Keep the value, unless its text is long."""
        if self._enabled and len(key.text) <= _MAX_CHARACTERS:
            self._entries[key] = value
