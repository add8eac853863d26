"""Write docs/metrics.md from what the services declare; --check only says whether it is stale."""

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import Counter, Gauge, Histogram

from rag_common.identity import certificate_gauge, secrets_gauges
from rag_common.observability.metrics import COUNTS, SECONDS, SHARES, Metrics
from rag_delivery.metrics import CanaryMetrics
from tools import ROOT
from tools.generated import write_or_check
from tools.services import SERVICES

PAGE = ROOT / "docs" / "metrics.md"

PORTS = {name: one.model_fields["http_port"].default for name, one in SERVICES.items()}
BOUNDS = {tuple(SECONDS): "seconds", tuple(SHARES): "shares", tuple(COUNTS): "counts"}


@dataclass(frozen=True, slots=True)
class Declaration:
    """A metric as Prometheus shows it; `bounds` are a histogram's, without infinity."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


class Declared(Metrics):
    """Metrics that remember what was declared, in its order."""

    def __init__(self) -> None:
        self.declarations: list[Declaration] = []
        super().__init__("service", "version")

    def counter(self, name: str, help_: str, labels: Sequence[str] = ()) -> Counter:
        self.declarations.append(Declaration(f"{name}_total", "counter", help_, tuple(labels)))
        return super().counter(name, help_, labels)

    def gauge(
        self,
        name: str,
        help_: str,
        labels: Sequence[str] = (),
        read: Callable[[], float] | None = None,
    ) -> Gauge:
        self.declarations.append(Declaration(name, "gauge", help_, tuple(labels)))
        return super().gauge(name, help_, labels, read)

    def histogram(
        self,
        name: str,
        help_: str,
        labels: Sequence[str] = (),
        bounds: Sequence[float] = SECONDS,
    ) -> Histogram:
        declared = Declaration(name, "histogram", help_, tuple(labels), tuple(bounds))
        self.declarations.append(declared)
        return super().histogram(name, help_, labels, bounds)


def main() -> int:
    return write_or_check({PAGE: "\n".join(page()) + "\n"}, "make settings")


def page() -> Iterator[str]:
    yield from ["# Metrics", ""]
    yield from preface()
    yield from section("Every service", common())
    yield from section("Every service with TLS or Vault", trusting())
    yield from section("Every process", process())
    for service in services():
        yield from section(service, own(service))
    yield from section("The analysis of a canary", declared(CanaryMetrics))


def services() -> list[str]:
    """The services that there are, in the order of their ports, unknown ones last."""
    result = [path.name for path in (ROOT / "services").iterdir() if path.is_dir()]
    return sorted(result, key=lambda name: (PORTS.get(name, sys.maxsize), name))


def common() -> list[Declaration]:
    """The metrics that every service declares."""
    return Declared().declarations


def trusting() -> list[Declaration]:
    """The additional metrics of a service with TLS or Vault."""
    return declared(lambda metrics: [certificate_gauge(metrics), secrets_gauges(metrics)])


def own(service: str) -> list[Declaration]:
    """The metrics that only this service declares, in its module telemetry/metrics.py."""
    module = importlib.import_module(f"rag_{service}.telemetry.metrics")
    (metrics,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__
    )
    return declared(metrics)


def declared(by: Callable[[Metrics], object]) -> list[Declaration]:
    metrics = Declared()
    before = len(metrics.declarations)
    by(metrics)
    return metrics.declarations[before:]


def process() -> list[Declaration]:
    """The metrics that prometheus_client has for every Python process on Linux."""
    metrics = Declared()
    ours = {declaration.name.removesuffix("_total") for declaration in metrics.declarations}
    return [
        Declaration(
            f"{family.name}_total" if family.type == "counter" else family.name,
            family.type,
            f"{family.documentation.rstrip('.')}.",
            tuple(family.samples[0].labels),
        )
        for family in metrics.registry.collect()
        if family.name not in ours
    ]


def preface() -> Iterator[str]:
    where = ", ".join(f"{name} {port}" for name, port in PORTS.items())
    yield (
        "The metrics of each service, generated from the code by `make settings`. Prometheus scrapes "
        f"them at `/metrics` on the HTTP port ({where}), in plaintext and without a credential: do not "
        "expose that port. With `OTEL_METRICS_EXPORTER=otlp` the same values are also sent to "
        "`OTEL_EXPORTER_OTLP_ENDPOINT`, every `OTEL_METRIC_EXPORT_INTERVAL` milliseconds (60000)."
    )
    yield ""
    yield from [
        "- Each sample also has the label `service`, and `region` if the service's setting REGION is set;",
        "  by OTLP the resource attributes `service.name` and `cloud.region` say the same.",
        "- The name of a counter ends in `_total`. A histogram `x` has `x_bucket` with the label `le`,",
        "  `x_count` and `x_sum`.",
        "- If traces are recorded, a histogram's buckets have exemplars: `trace_id` and `span_id` of one",
        "  of their values. `/metrics` uses the OpenMetrics format only.",
        "- A metric with labels has samples for known label values from the start, and for others from",
        "  the first event on.",
        "- Labels have few values, and none comes from a caller: `model` is a configured model, `method`",
        "  a method of the service or `_OTHER`, and the `reason` of a rejection one of",
        "  [errors.md](errors.md).",
    ]
    yield ""
    yield "Bucket bounds of histograms, by the names in the tables:"
    yield ""
    for bounds, name in BOUNDS.items():
        yield f"- {name}: {listed(bounds)}"


def section(title: str, declarations: Iterable[Declaration]) -> Iterator[str]:
    yield from ["", f"## {title}", ""]
    yield "| metric | type | labels | bounds | meaning |"
    yield "| --- | --- | --- | --- | --- |"
    for one in declarations:
        labels = ", ".join(f"`{label}`" for label in one.labels)
        bounds = BOUNDS.get(one.bounds) or listed(one.bounds)
        cells = [f"`{one.name}`", one.kind, labels, bounds, one.help.replace("|", "\\|")]
        yield f"| {' | '.join(cells)} |"


def listed(bounds: Iterable[float]) -> str:
    return ", ".join(f"{bound:g}" for bound in bounds)


if __name__ == "__main__":
    sys.exit(main())
