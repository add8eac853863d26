"""The options of the collector's processors that ours use, as their READMEs document them."""

from typing import Annotated, Literal

from pydantic import Field

from tests.observability.documented import Count, Documented, Env, Span


class MemoryLimiter(Documented):
    check_interval: Span
    limit_percentage: Annotated[int, Field(gt=0, lt=100)]
    spike_limit_percentage: Annotated[int, Field(gt=0, lt=100)]


class ResourceDetection(Documented):
    detectors: list[Literal["env", "system", "docker"]]
    timeout: Span
    override: bool


class Statements(Documented):
    context: Literal["resource", "scope", "span", "spanevent", "metric", "datapoint", "log"]
    statements: list[str]


class Transform(Documented):
    error_mode: Literal["ignore", "silent", "propagate"]
    trace_statements: list[Statements] = Field(default_factory=list)
    log_statements: list[Statements] = Field(default_factory=list)


class Redaction(Documented):
    allow_all_keys: bool
    allowed_keys: list[str] = Field(default_factory=list)
    ignored_keys: list[str] = Field(default_factory=list)
    blocked_key_patterns: list[str] = Field(default_factory=list)
    blocked_values: list[str] = Field(default_factory=list)
    summary: Literal["debug", "info", "silent"]


class StatusCode(Documented):
    status_codes: list[Literal["OK", "ERROR", "UNSET"]]


class Latency(Documented):
    threshold_ms: Count


class StringAttribute(Documented):
    key: str
    values: list[str]
    enabled_regex_matching: bool
    cache_max_size: Count


class Probabilistic(Documented):
    sampling_percentage: float | Env


class Policy(Documented):
    name: str
    type: Literal["status_code", "latency", "string_attribute", "probabilistic"]
    status_code: StatusCode | None = None
    latency: Latency | None = None
    string_attribute: StringAttribute | None = None
    probabilistic: Probabilistic | None = None


class DecisionCache(Documented):
    sampled_cache_size: Count
    non_sampled_cache_size: Count


class TailSampling(Documented):
    decision_wait: Span
    num_traces: Count
    expected_new_traces_per_sec: Count
    decision_cache: DecisionCache
    policies: list[Policy]


class Batch(Documented):
    timeout: Span
    send_batch_size: Count
    send_batch_max_size: Count


class AttributeAction(Documented):
    key: str
    value: str
    action: Literal["insert", "update", "upsert", "delete"]


class ResourceProcessor(Documented):
    attributes: list[AttributeAction]
