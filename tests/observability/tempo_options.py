"""The options of Tempo that ours use, as documented."""

from typing import Literal

from pydantic import Field

from tests.observability.documented import Address, Count, Documented, Span, Url

# --- grafana.com/docs/tempo/latest/configuration


class TempoServer(Documented):
    http_listen_port: Count
    log_level: Literal["debug", "info", "warn", "error"]


class TempoGrpc(Documented):
    endpoint: Address


class TempoProtocols(Documented):
    grpc: TempoGrpc


class TempoOtlp(Documented):
    protocols: TempoProtocols


class TempoReceivers(Documented):
    otlp: TempoOtlp


class Distributor(Documented):
    receivers: TempoReceivers


class Ingester(Documented):
    max_block_duration: Span


class Compaction(Documented):
    block_retention: Span


class TempoCompactor(Documented):
    compaction: Compaction


class Registry(Documented):
    external_labels: dict[str, str]


class GeneratorWrite(Documented):
    url: Url
    send_exemplars: bool


class GeneratorStorage(Documented):
    path: str
    remote_write: list[GeneratorWrite]


class MetricsGenerator(Documented):
    registry: Registry
    storage: GeneratorStorage


class Folder(Documented):
    path: str


class TraceStorage(Documented):
    backend: Literal["local", "s3", "gcs", "azure"]
    wal: Folder
    local: Folder


class TempoStorage(Documented):
    trace: TraceStorage


class Ingestion(Documented):
    max_traces_per_user: Count


class GlobalOverrides(Documented):
    max_bytes_per_trace: Count


class GeneratorOverrides(Documented):
    processors: list[Literal["service-graphs", "span-metrics", "local-blocks"]]


class OverrideDefaults(Documented):
    ingestion: Ingestion
    global_: GlobalOverrides = Field(alias="global")
    metrics_generator: GeneratorOverrides


class Overrides(Documented):
    defaults: OverrideDefaults


class Reporting(Documented):
    reporting_enabled: Literal[False]


class Tempo(Documented):
    server: TempoServer
    distributor: Distributor
    ingester: Ingester
    compactor: TempoCompactor
    metrics_generator: MetricsGenerator
    storage: TempoStorage
    overrides: Overrides
    usage_report: Reporting
