"""Write docs/metrics.md from what the services declare; --check only says whether it is stale."""

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram

from rag_common.metrics import COUNTS, SECONDS, SHARES, Metrics
from rag_common.trust import certificate_gauge, secrets_gauges

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "metrics.md"

PORTS = {"gateway": 50071, "embedder": 50072, "retriever": 50073, "generator": 50074}
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
    text = "\n".join(page()) + "\n"
    if "--check" in sys.argv:
        if PAGE.is_file() and PAGE.read_text("utf-8") == text:
            return 0
        sys.stderr.write("docs/metrics.md is not what the code says; run `make settings`\n")
        return 1
    PAGE.write_text(text, "utf-8")
    return 0


def page() -> Iterator[str]:
    yield from ["# Metrics", ""]
    yield from preface()
    yield from section("Every service", common())
    yield from section("Every service, where it has TLS or Vault", trusting())
    yield from section("Every process", process())
    for service in services():
        yield from section(service, own(service))


def services() -> list[str]:
    """The services that there are, in the order of their ports, unknown ones last."""
    found = [path.name for path in (ROOT / "services").iterdir() if path.is_dir()]
    return sorted(found, key=lambda name: (PORTS.get(name, sys.maxsize), name))


def common() -> list[Declaration]:
    """What every service declares."""
    return Declared().declarations


def trusting() -> list[Declaration]:
    """What a service declares besides where it has a certificate or a Vault."""
    return declared(lambda metrics: [certificate_gauge(metrics), secrets_gauges(metrics)])


def own(service: str) -> list[Declaration]:
    """What one service declares besides what every service does."""
    return declared(importlib.import_module(f"rag_{service}.instruments").Instruments)


def declared(by: Callable[[Metrics], object]) -> list[Declaration]:
    metrics = Declared()
    before = len(metrics.declarations)
    by(metrics)
    return metrics.declarations[before:]


def process() -> list[Declaration]:
    """What prometheus_client tells of any process of Python on Linux."""
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
        "What each service counts and measures, made from the code by `make settings`. Prometheus "
        f"fetches it at `/metrics` of the HTTP port ({where}), in plaintext and without a credential: "
        "keep that port inside. With `OTEL_METRICS_EXPORTER=otlp` the same values also leave for "
        "`OTEL_EXPORTER_OTLP_ENDPOINT`, every `OTEL_METRIC_EXPORT_INTERVAL` milliseconds (60000)."
    )
    yield ""
    yield from [
        "- On the page each sample also has the label `service`; by OTLP the resource's `service.name`",
        "  says whose it is.",
        "- A counter ends in `_total`. A histogram `x` is `x_bucket` with the label `le`, `x_count` and",
        "  `x_sum`.",
        "- Where traces are recorded, a histogram's buckets carry exemplars: `trace_id` and `span_id` of",
        "  one of their values. They come in the OpenMetrics format, the only one that `/metrics` speaks.",
        "- A metric with labels has a sample for values known at start, and for others from the first",
        "  event on.",
        "- Labels have few values, and none holds what a caller wrote: `model` is a configured one,",
        "  `method` one that the service has, else `_OTHER`, and the `reason` of a refusal one of",
        "  [errors.md](errors.md).",
    ]
    yield ""
    yield "Bounds of histograms, where the tables name them:"
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
