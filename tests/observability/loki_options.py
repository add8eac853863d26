"""The options of Loki that ours use, as documented."""

import datetime
from typing import Literal

from pydantic import Field

from tests.observability.documented import Count, Documented, Size, Span


class Reporting(Documented):
    reporting_enabled: Literal[False]


# --- grafana.com/docs/loki/latest/configure


class LokiServer(Documented):
    http_listen_port: Count
    grpc_listen_port: Count
    log_level: Literal["debug", "info", "warn", "error"]


class KvStore(Documented):
    store: Literal["inmemory", "memberlist", "consul", "etcd"]


class Ring(Documented):
    kvstore: KvStore


class Filesystem(Documented):
    chunks_directory: str
    rules_directory: str


class LokiStorage(Documented):
    filesystem: Filesystem


class LokiCommon(Documented):
    instance_addr: str
    path_prefix: str
    replication_factor: Count
    ring: Ring
    storage: LokiStorage


class Index(Documented):
    prefix: str
    # Retention works on an index by day only.
    period: Literal["24h"]


class Period(Documented):
    from_: datetime.date = Field(alias="from")
    store: Literal["tsdb"]
    object_store: Literal["filesystem"]
    # What OTLP's structured metadata needs.
    schema_: Literal["v13"] = Field(alias="schema")
    index: Index


class LokiSchema(Documented):
    configs: list[Period]


class AttributeLabel(Documented):
    action: Literal["index_label", "structured_metadata", "drop"]
    attributes: list[str]


class ResourceAttributes(Documented):
    ignore_defaults: bool
    attributes_config: list[AttributeLabel]


class LokiOtlp(Documented):
    resource_attributes: ResourceAttributes


class LokiLimits(Documented):
    allow_structured_metadata: Literal[True]
    retention_period: Span
    reject_old_samples: bool
    reject_old_samples_max_age: Span
    ingestion_rate_mb: Count
    ingestion_burst_size_mb: Count
    max_line_size: Size
    max_global_streams_per_user: Count
    max_query_length: Span
    otlp_config: LokiOtlp


class LokiCompactor(Documented):
    working_directory: str
    compaction_interval: Span
    retention_enabled: Literal[True]
    retention_delete_delay: Span
    delete_request_store: Literal["filesystem"]


class Loki(Documented):
    auth_enabled: bool
    server: LokiServer
    common: LokiCommon
    schema_config: LokiSchema
    limits_config: LokiLimits
    compactor: LokiCompactor
    analytics: Reporting
