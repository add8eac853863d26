"""Traces in memory, within bounds: the oldest trace goes first, and what was lost is counted."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, TracesData

from rag_local.traces.bounds import Bounds, Dropped
from rag_local.traces.grouping import Piece, count, facts, pieces


@dataclass(frozen=True, slots=True)
class Summary:
    """A trace in a list; times are nanoseconds since 1970."""

    trace_id: str
    service: str
    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A trace as it came; `lost` of its spans found no room."""

    data: TracesData
    lost: int


# The data are unpacked only where they are asked for.
Choice = Callable[[Summary, Callable[[], TracesData]], bool]


@dataclass(slots=True)
class _Trace:
    """One trace; `root` is its span without a parent, or else its first, and where that ran."""

    packed: list[bytes] = field(default_factory=list)
    spans: dict[bytes, None] = field(default_factory=dict)
    start: int = 0
    end: int = 0
    root: tuple[bool, int, str, str] | None = None
    lost: int = 0

    @property
    def bytes(self) -> int:
        return sum(map(len, self.packed))


class Traces:
    """All that is kept; any thread may take and find."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._lock = Lock()
        self._traces: OrderedDict[bytes, _Trace] = OrderedDict()
        self._bytes = 0
        self._dropped = Dropped()

    @property
    def dropped(self) -> Dropped:
        """What was lost until now."""
        with self._lock:
            return replace(self._dropped)

    @property
    def spans(self) -> int:
        """How many are kept."""
        with self._lock:
            return sum(len(trace.spans) for trace in self._traces.values())

    def take(self, exported: Iterable[ResourceSpans]) -> int:
        """Keep what fits; gives how many spans did not. A span that is here already is no loss."""
        groups = list(exported)
        found = list(pieces(groups))
        malformed = count(groups) - sum(len(piece.spans) for piece in found)
        with self._lock:
            lost = malformed + sum(map(self._take, found))
            self._dropped.spans += lost
        return lost

    def find(self, trace_id: bytes) -> Kept | None:
        """The trace of that id, 16 bytes."""
        with self._lock:
            trace = self._traces.get(trace_id)
            if trace is None:
                return None
            packed, lost = list(trace.packed), trace.lost
        return Kept(_unpacked(packed), lost)

    def latest(self, most: int, choice: Choice) -> list[Summary]:
        """Those that `choice` takes, by their start, the newest first."""
        with self._lock:
            every = [(_summary(key, t), list(t.packed)) for key, t in self._traces.items()]
        every.sort(key=lambda item: item[0].start, reverse=True)
        found: list[Summary] = []
        for summary, packed in every:
            if len(found) == most:
                break
            if choice(summary, partial(_unpacked, packed)):
                found.append(summary)
        return found

    def _take(self, piece: Piece) -> int:
        trace = self._traces.setdefault(piece.trace_id, _Trace())
        fresh = piece.without(trace.spans)
        fits = fresh.first(self._bounds.spans - len(trace.spans))
        packed = fits.packed() if fits.spans else b""
        self._make_room(piece.trace_id, len(packed))
        if self._bytes + len(packed) > self._bounds.bytes:
            fits, packed = fits.first(0), b""
        if packed:
            _add(trace, fits, packed)
            self._bytes += len(packed)
        lost = len(fresh.spans) - len(fits.spans)
        trace.lost += lost
        return lost

    def _make_room(self, coming: bytes, size: int) -> None:
        """Let the oldest traces go, but never the one that comes."""
        while len(self._traces) > 1 and self._is_over(size):
            oldest = next(key for key in self._traces if key != coming)
            gone = self._traces.pop(oldest)
            self._bytes -= gone.bytes
            self._dropped.traces += 1

    def _is_over(self, size: int) -> bool:
        too_many = len(self._traces) > self._bounds.traces
        return too_many or self._bytes + size > self._bounds.bytes


def _add(trace: _Trace, piece: Piece, packed: bytes) -> None:
    trace.packed.append(packed)
    service = facts(piece.resource.attributes).get("service.name", "")
    for span in piece.spans:
        trace.spans[span.span_id] = None
        start, end = span.start_time_unix_nano, span.end_time_unix_nano
        trace.start = min(trace.start or start, start)
        trace.end = max(trace.end, end)
        rank = (bool(span.parent_span_id), start, service, span.name)
        trace.root = min(trace.root or rank, rank)


def _summary(trace_id: bytes, trace: _Trace) -> Summary:
    _, _, service, name = trace.root or (True, 0, "", "")
    return Summary(trace_id.hex(), service, name, trace.start, trace.end)


def _unpacked(packed: Iterable[bytes]) -> TracesData:
    return TracesData(resource_spans=map(ResourceSpans.FromString, packed))


def attributes_of(data: TracesData) -> Iterable[Mapping[str, str]]:
    """The attributes of each span, with those of what it ran in."""
    for group in data.resource_spans:
        where = facts(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                yield {**where, **facts(span.attributes)}
