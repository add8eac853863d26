"""A service as `rag top` tells it, from two looks at it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rag_client.observed.looks import Check, Look
from rag_client.observed.samples import Between, Samples

# What the names begin with of all that is looked at here.
WANTED = (
    *("rag_rpc_server_", "rag_rpc_refusals", "rag_event_loop_lag_", "process_", "rag_searches_"),
    *("rag_embed_queue_", "rag_embed_lanes", "rag_split_w", "rag_telemetry_"),
)
_CALLS = "rag_rpc_server_duration_seconds"
_LAG = "rag_event_loop_lag_seconds"


@dataclass(frozen=True, slots=True)
class Method:
    """The calls of one method; times in seconds, None where there were no calls."""

    name: str
    rate: float
    p50: float | None
    p95: float | None
    errors: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits or is at work, how much there may be, and for how many seconds the oldest has waited."""

    name: str
    value: float
    capacity: float | None
    oldest: float | None


@dataclass(frozen=True, slots=True)
class Service:
    """One row. What is None is not known: the service does not show it, or one look is too few."""

    name: str
    url: str
    failure: str
    state: str
    failing: tuple[Check, ...]
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


def service(before: Look | None, after: Look) -> Service:
    """What the later look shows, with rates since the earlier one."""
    told = (after.target.name, after.target.url, after.failure, after.state, after.failing)
    if after.samples is None:
        return Service(*told)
    standing = _standing(Service(*told), after.samples)
    then = before.samples if before else None
    if then is None or after.samples.at <= then.at:
        return standing
    return _moving(standing, Between(then, after.samples))


def _standing(row: Service, now: Samples) -> Service:
    return replace(
        row,
        in_flight=now.total("rag_rpc_server_in_flight"),
        capacity=now.total("rag_rpc_server_capacity") or None,
        memory=now.total("process_resident_memory_bytes"),
        queues=_queues(now),
    )


def _moving(row: Service, since: Between) -> Service:
    codes = since.by(f"{_CALLS}_count", "code")
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
        refusals=_whole(since.by("rag_rpc_refusals_total", "reason")),
        dropped=_whole(since.by("rag_telemetry_dropped_total", "signal")),
    )


def _methods(since: Between) -> tuple[Method, ...]:
    """Those that were called, the busiest first."""
    calls = since.by(f"{_CALLS}_count", "method")
    errors: dict[str, dict[str, int]] = {}
    for labels, grown in since.grown(f"{_CALLS}_count"):
        code = labels.get("code", "")
        if grown and code != "OK":
            of = errors.setdefault(labels.get("method", ""), {})
            of[code] = of.get(code, 0) + round(grown)
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


def _cpu(since: Between) -> float | None:
    """How many cores it kept busy."""
    spent = [grown for _, grown in since.grown("process_cpu_seconds_total")]
    return sum(spent) / since.seconds if spent else None


@dataclass(frozen=True, slots=True)
class _Gauges:
    """The names under which a queue is shown."""

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
        Queue(named.name, value, now.total(named.capacity), now.most(named.oldest))
        for named in _QUEUES
        if (value := now.total(named.value)) is not None
    )


def _whole(counts: Mapping[str, float]) -> dict[str, int]:
    return {name: round(count) for name, count in counts.items()}
