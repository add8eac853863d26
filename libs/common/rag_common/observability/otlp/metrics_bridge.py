"""The Prometheus registry as OTLP, exemplars included, exported at an interval."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, pairwise

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Metric as OtlpMetric
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar as PrometheusExemplar
from prometheus_client.samples import Sample

from rag_common.observability.otlp.batch_processor import Counts

_SCOPE = InstrumentationScope("rag")
_CUMULATIVE = AggregationTemporality.CUMULATIVE


class MetricsBridge:
    """Exports what `collect` returns every `interval` seconds, and once more when it is closed.

    `collect` is called in a thread of its own, and by `close`.
    """

    def __init__(
        self,
        collect: Callable[[], Sequence[Metric]],
        resource: Resource,
        export: Callable[[MetricsData], bool],
        interval: float,
        counts: Counts,
    ) -> None:
        self._collect = collect
        self._resource = resource
        self._export = export
        self._interval = interval
        self._counts = counts
        self._began = time.time_ns()
        self._last: Sequence[Metric] | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otlp-metrics", daemon=True)
        self._thread.start()

    def close(self, seconds: float) -> None:
        """Export the last values, for at most `seconds`."""
        self._last = self._collect()
        self._closing.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._closing.wait(self._interval):
            self._once(self._collect)
        self._once(lambda: self._last or ())

    def _once(self, collect: Callable[[], Sequence[Metric]]) -> None:
        metrics: list[OtlpMetric] = []
        try:
            metrics = list(otlp_metrics(collect(), self._began, time.time_ns()))
            scope = ScopeMetrics(_SCOPE, metrics, "")
            arrived = self._export(MetricsData([ResourceMetrics(self._resource, [scope], "")]))
        except Exception:
            # Any: the next collection may get through.
            arrived = False
        if arrived:
            self._counts.exported(len(metrics))
        else:
            self._counts.dropped(max(len(metrics), 1), "failed")


def otlp_metrics(metrics: Iterable[Metric], began: int, now: int) -> Iterator[OtlpMetric]:
    """Prometheus's metrics as OTLP's, counted since `began`; times in nanoseconds since 1970."""
    for metric in metrics:
        data: Gauge | Sum | Histogram
        match metric.type:
            case "histogram":
                data = Histogram(_distributions(metric, began, now), _CUMULATIVE)
            case "counter":
                totals = [s for s in metric.samples if s.name.endswith("_total")]
                data = Sum(_points(totals, began, now), _CUMULATIVE, is_monotonic=True)
            case _:
                data = Gauge(_points(metric.samples, began, now))
        if data.data_points:
            yield OtlpMetric(metric.name, metric.documentation, metric.unit, data)


def _points(samples: Sequence[Sample], began: int, now: int) -> list[NumberDataPoint]:
    return [NumberDataPoint(sample.labels, began, now, sample.value) for sample in samples]


def _distributions(metric: Metric, began: int, now: int) -> list[HistogramDataPoint]:
    """A histogram's samples come together for each set of labels: buckets, then count and sum."""
    groups = groupby(metric.samples, key=_labels)
    return [_distribution(dict(labels), list(group), began, now) for labels, group in groups]


def _distribution(
    labels: dict[str, str], samples: list[Sample], began: int, now: int
) -> HistogramDataPoint:
    buckets = [sample for sample in samples if sample.name.endswith("_bucket")]
    [total] = [sample.value for sample in samples if sample.name.endswith("_sum")]
    cumulative = [0, *(int(bucket.value) for bucket in buckets)]
    return HistogramDataPoint(
        labels,
        began,
        now,
        count=cumulative[-1],
        sum=total,
        bucket_counts=[after - before for before, after in pairwise(cumulative)],
        explicit_bounds=[float(bucket.labels["le"]) for bucket in buckets[:-1]],
        # Unset on the wire: a bucket's bounds are all that is known.
        min=None,  # type: ignore[arg-type]
        max=None,  # type: ignore[arg-type]
        exemplars=[_exemplar(bucket.exemplar) for bucket in buckets if bucket.exemplar],
    )


def _exemplar(exemplar: PrometheusExemplar) -> Exemplar:
    moment = int(float(exemplar.timestamp or time.time()) * 1e9)
    ids = {name: int(text, 16) for name, text in exemplar.labels.items()}
    return Exemplar({}, exemplar.value, moment, **ids)


def _labels(sample: Sample) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
