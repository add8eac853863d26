"""The collector's options that ours use, as documented.

opentelemetry.io/docs/collector/configuration; README and config.schema.yaml of each component in
open-telemetry/opentelemetry-collector and open-telemetry/opentelemetry-collector-contrib.
"""

from typing import Any, Literal

from pydantic import Field

from tests.observability import processor_options
from tests.observability.documented import Count, Documented, Env, Span, Url


class Grpc(Documented):
    endpoint: str
    max_recv_msg_size_mib: Count = 4


class Http(Documented):
    endpoint: str


class Protocols(Documented):
    grpc: Grpc
    http: Http


class OtlpReceiver(Documented):
    protocols: Protocols


class Tls(Documented):
    insecure: bool | Env


class Retry(Documented):
    enabled: Literal[True]
    initial_interval: Span
    max_interval: Span
    max_elapsed_time: Span


class Queue(Documented):
    enabled: Literal[True]
    num_consumers: Count
    queue_size: Count


class OtlpExporter(Documented):
    endpoint: str
    tls: Tls
    timeout: Span
    retry_on_failure: Retry
    sending_queue: Queue


class OtlpHttpExporter(Documented):
    endpoint: Url
    timeout: Span
    retry_on_failure: Retry
    sending_queue: Queue


class Switch(Documented):
    enabled: bool


class RemoteWrite(Documented):
    endpoint: Url
    timeout: Span
    retry_on_failure: Retry
    remote_write_queue: Queue
    target_info: Switch


class ElasticRetry(Documented):
    enabled: Literal[True]
    max_retries: Count
    initial_interval: Span
    max_interval: Span


class ElasticExporter(Documented):
    endpoints: list[Url]
    api_key: Env
    timeout: Span
    retry: ElasticRetry
    sending_queue: Queue


class BalancedOtlp(Documented):
    tls: Tls
    timeout: Span
    retry_on_failure: Retry
    sending_queue: Queue


class BalancedProtocol(Documented):
    otlp: BalancedOtlp


class Dns(Documented):
    hostname: str
    port: str
    interval: Span
    timeout: Span


class Resolver(Documented):
    dns: Dns


class LoadBalancing(Documented):
    routing_key: Literal["traceID", "service", "resource", "metric", "streamID"]
    protocol: BalancedProtocol
    resolver: Resolver


class HealthCheck(Documented):
    endpoint: str


class OwnPage(Documented):
    host: str
    port: Count


class OwnExporter(Documented):
    prometheus: OwnPage


class OwnPull(Documented):
    exporter: OwnExporter


class OwnReader(Documented):
    pull: OwnPull


class OwnMetrics(Documented):
    level: Literal["none", "basic", "normal", "detailed"]
    readers: list[OwnReader]


class OwnLogs(Documented):
    level: Literal["debug", "info", "warn", "error"]
    encoding: Literal["json", "console"]


class OwnTelemetry(Documented):
    logs: OwnLogs
    metrics: OwnMetrics


class Pipeline(Documented):
    receivers: list[str]
    processors: list[str]
    exporters: list[str]


class CollectorService(Documented):
    extensions: list[str] = Field(default_factory=list)
    telemetry: OwnTelemetry | None = None
    pipelines: dict[str, Pipeline]


class Collector(Documented):
    receivers: dict[str, dict[str, Any]] = Field(default_factory=dict)
    processors: dict[str, dict[str, Any]] = Field(default_factory=dict)
    exporters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    extensions: dict[str, dict[str, Any]] = Field(default_factory=dict)
    service: CollectorService


# By the type of a component: what stands before the slash of its name.
COMPONENTS: dict[str, type[Documented]] = {
    "receivers.otlp": OtlpReceiver,
    "processors.memory_limiter": processor_options.MemoryLimiter,
    "processors.resourcedetection": processor_options.ResourceDetection,
    "processors.transform": processor_options.Transform,
    "processors.redaction": processor_options.Redaction,
    "processors.tail_sampling": processor_options.TailSampling,
    "processors.batch": processor_options.Batch,
    "processors.resource": processor_options.ResourceProcessor,
    "exporters.otlp": OtlpExporter,
    "exporters.otlphttp": OtlpHttpExporter,
    "exporters.prometheusremotewrite": RemoteWrite,
    "exporters.elasticsearch": ElasticExporter,
    "exporters.loadbalancing": LoadBalancing,
    "extensions.health_check": HealthCheck,
}
