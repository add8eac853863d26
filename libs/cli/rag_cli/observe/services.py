"""The measurements of a service for `rag top`, from two scrapes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rag_cli.observe.samples import SampleDelta, Samples
from rag_cli.observe.scrape import FailedCheck, Scrape

# Prefixes of the metric names that are read here.
METRIC_PREFIXES = (
    *("rag_rpc_server_", "rag_rpc_refusals", "rag_event_loop_lag_", "process_", "rag_searches_"),
    *("rag_embed_queue_", "rag_embed_lanes", "rag_split_w", "rag_telemetry_"),
)
_CALLS = "rag_rpc_server_duration_seconds"
_LAG = "rag_event_loop_lag_seconds"


@dataclass(frozen=True, slots=True)
class Method:
    """The calls of one method; latencies in seconds, None without calls."""

    name: str
    rate: float
    p50: float | None
    p95: float | None
    errors: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Queue:
    """Items that wait or are in progress, their limit, and the age of the oldest in seconds."""

    name: str
    value: float
    capacity: float | None
    oldest: float | None


@dataclass(frozen=True, slots=True)
class Service:
    """One service. None means unknown: the metric is missing, or needs a second scrape."""

    name: str
    url: str
    failure: str
    state: str
    failing: tuple[FailedCheck, ...]
    seconds: float | None = None
    rate: float | None = None
    error_rate: float | None = None
    p50: float | None = None
    p95: float | None = None
    in_flight: float | None = None
    capacity: float | None = None
    cpu: float | None = None
    memory: float | None = None
    lag: float | None = None
    methods: tuple[Method, ...] = ()
    refusals: Mapping[str, int] | None = None
    queues: tuple[Queue, ...] = ()
    dropped: Mapping[str, int] | None = None


def service(before: Scrape | None, after: Scrape) -> Service:
    """The measurements of the later scrape, with rates since the earlier one."""
    identity = (after.target.name, after.target.url, after.failure, after.state, after.failing)
    if after.samples is None:
        return Service(*identity)
    current = _with_gauges(Service(*identity), after.samples)
    earlier = before.samples if before else None
    if earlier is None or after.samples.at <= earlier.at:
        return current
    return _with_rates(current, SampleDelta(earlier, after.samples))


def _with_gauges(row: Service, now: Samples) -> Service:
    return replace(
        row,
        in_flight=now.total("rag_rpc_server_in_flight"),
        capacity=now.total("rag_rpc_server_capacity") or None,
        memory=now.total("process_resident_memory_bytes"),
        queues=_queues(now),
    )


def _with_rates(row: Service, since: SampleDelta) -> Service:
    codes = since.increase_by(f"{_CALLS}_count", "code")
    calls = sum(codes.values())
    return replace(
        row,
        seconds=since.seconds,
        rate=calls / since.seconds,
        error_rate=(calls - codes.get("OK", 0.0)) / since.seconds,
        p50=since.quantile(0.5, _CALLS),
        p95=since.quantile(0.95, _CALLS),
        cpu=_cpu(since),
        lag=since.quantile(0.95, _LAG),
        methods=_methods(since),
        refusals=_rounded(since.increase_by("rag_rpc_refusals_total", "reason")),
        dropped=_rounded(since.increase_by("rag_telemetry_dropped_total", "signal")),
    )


def _methods(since: SampleDelta) -> tuple[Method, ...]:
    """The methods that were called, the busiest first."""
    calls = since.increase_by(f"{_CALLS}_count", "method")
    errors: dict[str, dict[str, int]] = {}
    for labels, increase in since.increases(f"{_CALLS}_count"):
        code = labels.get("code", "")
        if increase and code != "OK":
            own = errors.setdefault(labels.get("method", ""), {})
            own[code] = own.get(code, 0) + round(increase)
    return tuple(
        Method(
            name,
            count / since.seconds,
            since.quantile(0.5, _CALLS, method=name),
            since.quantile(0.95, _CALLS, method=name),
            errors.get(name, {}),
        )
        for name, count in sorted(calls.items(), key=lambda item: -item[1])
    )


def _cpu(since: SampleDelta) -> float | None:
    """The number of busy cores."""
    used = [increase for _, increase in since.increases("process_cpu_seconds_total")]
    return sum(used) / since.seconds if used else None


@dataclass(frozen=True, slots=True)
class _Gauges:
    """The metric names of a queue."""

    name: str
    value: str
    capacity: str = ""
    oldest: str = ""


_QUEUES = (
    _Gauges("searches waiting", "rag_searches_waiting", oldest="rag_searches_oldest_wait_seconds"),
    _Gauges("searches running", "rag_searches_running", "rag_searches_capacity"),
    _Gauges(
        "texts to embed",
        "rag_embed_queue_texts",
        "rag_embed_queue_capacity",
        "rag_embed_queue_oldest_seconds",
    ),
    _Gauges("embedding lanes", "rag_embed_lanes_busy", "rag_embed_lanes"),
    _Gauges("files to parse", "rag_split_waiting"),
    _Gauges("parse workers", "rag_split_workers_busy", "rag_split_workers"),
    _Gauges("telemetry to send", "rag_telemetry_queue"),
)


def _queues(now: Samples) -> tuple[Queue, ...]:
    return tuple(
        Queue(gauges.name, value, now.total(gauges.capacity), now.maximum(gauges.oldest))
        for gauges in _QUEUES
        if (value := now.total(gauges.value)) is not None
    )


def _rounded(counts: Mapping[str, float]) -> dict[str, int]:
    return {name: round(count) for name, count in counts.items()}
