"""The options of Filebeat, life cycles and index templates that ours use, as documented."""

from typing import Any, Literal

from pydantic import Field

from tests.observability.documented import Count, Documented, Size, Span

# --- elastic.co/docs/reference/beats/filebeat


class Ndjson(Documented):
    target: str
    add_error_key: bool
    ignore_decoding_error: bool


class Container(Documented):
    stream: Literal["all", "stdout", "stderr"]


class Parser(Documented):
    ndjson: Ndjson | None = None
    container: Container | None = None


class Filestream(Documented):
    type: Literal["filestream"]
    id: str
    paths: list[str]
    symlinks: bool = Field(False, alias="prospector.scanner.symlinks")
    fingerprint: bool = Field(alias="prospector.scanner.fingerprint.enabled")
    native: None = Field(alias="file_identity.native")
    parsers: list[Parser]


class DroppedFields(Documented):
    fields: list[str]
    ignore_missing: bool


class BeatProcessor(Documented):
    drop_fields: DroppedFields


class ToElasticsearch(Documented):
    hosts: list[str]
    api_key: str
    index: str
    pipeline: str
    timeout: Count
    most: Span = Field(alias="backoff.max")


class MemoryQueue(Documented):
    events: Count
    least: Count = Field(alias="flush.min_events")
    timeout: Span = Field(alias="flush.timeout")


class Filebeat(Documented):
    inputs: list[Filestream] = Field(alias="filebeat.inputs")
    processors: list[BeatProcessor]
    queue: MemoryQueue = Field(alias="queue.mem")
    output: ToElasticsearch = Field(alias="output.elasticsearch")
    template: Literal[False] = Field(alias="setup.template.enabled")
    ilm: Literal[False] = Field(alias="setup.ilm.enabled")
    level: Literal["debug", "info", "warning", "error"] = Field(alias="logging.level")
    stderr: bool = Field(alias="logging.to_stderr")


# --- elastic.co/docs: ilm, index templates


class Rollover(Documented):
    max_age: Span
    max_primary_shard_size: Size


class HotActions(Documented):
    rollover: Rollover


class Hot(Documented):
    actions: HotActions


class DeleteActions(Documented):
    delete: dict[str, Any]


class Delete(Documented):
    min_age: Span
    actions: DeleteActions


class Phases(Documented):
    hot: Hot
    delete: Delete


class LifecyclePolicy(Documented):
    phases: Phases


class Lifecycle(Documented):
    policy: LifecyclePolicy


class FieldType(Documented):
    type: (
        Literal["date", "keyword", "long", "double", "wildcard", "flattened", "constant_keyword"]
        | Literal["match_only_text"]
        | None
    ) = None
    ignore_above: Count | None = None
    depth_limit: Count | None = None
    fields: "dict[str, FieldType] | None" = None
    properties: "dict[str, FieldType] | None" = None


class Mappings(Documented):
    dynamic: Literal[False]
    properties: dict[str, FieldType]


class TemplateBody(Documented):
    settings: dict[str, Any]
    mappings: Mappings


class IndexTemplate(Documented):
    index_patterns: list[str]
    priority: Count
    data_stream: dict[str, Any]
    meta: dict[str, str] = Field(alias="_meta")
    template: TemplateBody
