"""What a service counts and measures, for Prometheus to fetch."""

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from rag_common.pages import Page, Pages

# In seconds: dense where a search ends, wide enough for a whole answer.
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """One process's own; labels must have few values, and never hold what a caller wrote."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.calls = self.histogram(
            "rag_rpc_server_duration_seconds",
            "Time from a call's arrival to its end.",
            ("method", "code"),
        )
        self.refusals = self.counter(
            "rag_rpc_refusals", "Calls that ended in an error, by its reason.", ("reason",)
        )
        self.in_flight = self.gauge("rag_rpc_server_in_flight", "Calls that are being served.")

    def counter(self, name: str, help_: str, labels: Sequence[str] = ()) -> Counter:
        """A count that only grows; Prometheus sees it with _total behind its name."""
        return Counter(name, help_, labels, registry=self.registry)

    def gauge(
        self,
        name: str,
        help_: str,
        labels: Sequence[str] = (),
        read: Callable[[], float] | None = None,
    ) -> Gauge:
        """A value that goes up and down; where `read` is given it is asked when somebody looks."""
        made = Gauge(name, help_, labels, registry=self.registry)
        if read:
            made.set_function(read)
        return made

    def histogram(self, name: str, help_: str, labels: Sequence[str] = ()) -> Histogram:
        """A distribution of seconds."""
        return Histogram(name, help_, labels, registry=self.registry, buckets=_BOUNDS)

    def pages(self) -> Pages:
        """`/metrics`, in the OpenMetrics format."""

        async def metrics() -> Page:
            latest: bytes = generate_latest(self.registry)  # type: ignore[no-untyped-call]
            return Page(latest, media_type=CONTENT_TYPE_LATEST)

        return {"/metrics": metrics}
