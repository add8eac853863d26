"""Traces in memory, within limits: the oldest trace is evicted first, and dropped data are counted."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, TracesData

from rag_local.trace_store.grouping import SpanBatch, attribute_texts, count, span_batches


@dataclass(frozen=True, slots=True)
class Bounds:
    """Maximum numbers of traces, `spans` of one trace, `bytes` in total, `request_bytes` of one export."""

    traces: int = 2_000
    spans: int = 10_000
    bytes: int = 128 * 1024 * 1024
    request_bytes: int = 16 * 1024 * 1024


@dataclass(slots=True)
class Dropped:
    """Counts of dropped data: evicted traces, the oldest first, and rejected spans."""

    traces: int = 0
    spans: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """A trace in a search result; times are nanoseconds since 1970."""

    trace_id: str
    service: str
    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class StoredTrace:
    """A trace as received; `lost` is the number of its dropped spans."""

    data: TracesData
    lost: int


# Whether a trace matches a search; the second argument decodes its data on demand.
TraceFilter = Callable[[Summary, Callable[[], TracesData]], bool]


@dataclass(slots=True)
class _Trace:
    """One trace; `root` sorts first the span without a parent, else the earliest: see `_add`."""

    packed: list[bytes] = field(default_factory=list)
    spans: dict[bytes, None] = field(default_factory=dict)
    start: int = 0
    end: int = 0
    root: tuple[bool, int, str, str] | None = None
    lost: int = 0

    @property
    def bytes(self) -> int:
        return sum(map(len, self.packed))


class TraceMemory:
    """The stored traces. Thread-safe."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._lock = Lock()
        self._traces: OrderedDict[bytes, _Trace] = OrderedDict()
        self._bytes = 0
        self._dropped = Dropped()

    @property
    def dropped(self) -> Dropped:
        """The counts of dropped data."""
        with self._lock:
            return replace(self._dropped)

    @property
    def spans(self) -> int:
        """The number of stored spans."""
        with self._lock:
            return sum(len(trace.spans) for trace in self._traces.values())

    def add(self, exported: Iterable[ResourceSpans]) -> int:
        """Store the spans that fit; return the number of dropped ones. Known spans are ignored."""
        groups = list(exported)
        batches = list(span_batches(groups))
        malformed = count(groups) - sum(len(batch.spans) for batch in batches)
        with self._lock:
            lost = malformed + sum(map(self._store, batches))
            self._dropped.spans += lost
        return lost

    def find(self, trace_id: bytes) -> StoredTrace | None:
        """The trace of that id, 16 bytes; None if it is not stored."""
        with self._lock:
            trace = self._traces.get(trace_id)
            if trace is None:
                return None
            packed, lost = list(trace.packed), trace.lost
        return StoredTrace(_unpack(packed), lost)

    def latest(self, limit: int, matches: TraceFilter) -> list[Summary]:
        """Up to `limit` traces that match, the newest start first."""
        with self._lock:
            every = [(_summary(key, t), list(t.packed)) for key, t in self._traces.items()]
        every.sort(key=lambda item: item[0].start, reverse=True)
        result: list[Summary] = []
        for summary, packed in every:
            if len(result) == limit:
                break
            if matches(summary, partial(_unpack, packed)):
                result.append(summary)
        return result

    def _store(self, batch: SpanBatch) -> int:
        trace = self._traces.setdefault(batch.trace_id, _Trace())
        new = batch.without(trace.spans)
        fits = new.first(self._bounds.spans - len(trace.spans))
        packed = fits.packed() if fits.spans else b""
        self._evict(batch.trace_id, len(packed))
        if self._bytes + len(packed) > self._bounds.bytes:
            fits, packed = fits.first(0), b""
        if packed:
            _add(trace, fits, packed)
            self._bytes += len(packed)
        lost = len(new.spans) - len(fits.spans)
        trace.lost += lost
        return lost

    def _evict(self, incoming: bytes, size: int) -> None:
        """Evict the oldest traces, but not the incoming one, until `size` more bytes fit."""
        while len(self._traces) > 1 and self._is_over(size):
            oldest = next(key for key in self._traces if key != incoming)
            evicted = self._traces.pop(oldest)
            self._bytes -= evicted.bytes
            self._dropped.traces += 1

    def _is_over(self, size: int) -> bool:
        too_many = len(self._traces) > self._bounds.traces
        return too_many or self._bytes + size > self._bounds.bytes


def _add(trace: _Trace, batch: SpanBatch, packed: bytes) -> None:
    trace.packed.append(packed)
    service = attribute_texts(batch.resource.attributes).get("service.name", "")
    for span in batch.spans:
        trace.spans[span.span_id] = None
        start, end = span.start_time_unix_nano, span.end_time_unix_nano
        trace.start = min(trace.start or start, start)
        trace.end = max(trace.end, end)
        rank = (bool(span.parent_span_id), start, service, span.name)
        trace.root = min(trace.root or rank, rank)


def _summary(trace_id: bytes, trace: _Trace) -> Summary:
    _, _, service, name = trace.root or (True, 0, "", "")
    return Summary(trace_id.hex(), service, name, trace.start, trace.end)


def _unpack(packed: Iterable[bytes]) -> TracesData:
    return TracesData(resource_spans=map(ResourceSpans.FromString, packed))


def attributes_of(data: TracesData) -> Iterable[Mapping[str, str]]:
    """The attributes of each span, merged with those of its resource."""
    for group in data.resource_spans:
        resource = attribute_texts(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                yield {**resource, **attribute_texts(span.attributes)}
