"""The options of Grafana's provisioning and of Compose that ours use, as documented."""

from typing import Annotated, Any, Literal

from pydantic import Field

from tests.observability.documented import Count, Documented, Image, Size, Span, Url

# --- grafana.com/docs/grafana/latest/administration/provisioning and the page of each data source


class Exemplars(Documented):
    name: str
    datasourceUid: str
    urlDisplayLabel: str


class PrometheusOptions(Documented):
    httpMethod: Literal["POST", "GET"]
    timeInterval: Span
    exemplarTraceIdDestinations: list[Exemplars]


class TracesToLogs(Documented):
    datasourceUid: str
    spanStartTimeShift: Span
    spanEndTimeShift: Span
    filterByTraceID: bool
    filterBySpanID: bool
    customQuery: bool
    query: str


class ServiceMap(Documented):
    datasourceUid: str


class NodeGraph(Documented):
    enabled: bool


class TempoOptions(Documented):
    tracesToLogsV2: TracesToLogs
    serviceMap: ServiceMap
    nodeGraph: NodeGraph


class DerivedField(Documented):
    name: str
    matcherType: Literal["label", "regex"]
    matcherRegex: str
    url: str
    datasourceUid: str
    urlDisplayLabel: str


class LokiOptions(Documented):
    maxLines: Count
    derivedFields: list[DerivedField]


class AlertmanagerOptions(Documented):
    implementation: Literal["prometheus", "mimir", "cortex"]


class Datasource(Documented):
    name: str
    uid: str
    type: Literal["prometheus", "tempo", "loki", "alertmanager"]
    access: Literal["proxy"]
    url: Url
    isDefault: bool = False
    editable: Literal[False]
    jsonData: PrometheusOptions | TempoOptions | LokiOptions | AlertmanagerOptions


class Datasources(Documented):
    apiVersion: Literal[1]
    datasources: list[Datasource]


class ProviderOptions(Documented):
    path: str


class Provider(Documented):
    name: str
    folder: str
    type: Literal["file"]
    disableDeletion: bool
    allowUiUpdates: bool
    updateIntervalSeconds: Count
    options: ProviderOptions


class Providers(Documented):
    apiVersion: Literal[1]
    providers: list[Provider]


# --- docs.docker.com/reference/compose-file


class Check(Documented):
    test: list[str]
    interval: Span
    timeout: Span
    retries: Count


class Logging(Documented):
    driver: Literal["json-file"]
    options: dict[str, str]


class Condition(Documented):
    condition: Literal["service_started", "service_healthy", "service_completed_successfully"]


class ComposeService(Documented):
    image: Image
    command: list[str] = Field(default_factory=list)
    entrypoint: list[str] = Field(default_factory=list)
    environment: dict[str, str] = Field(default_factory=dict)
    volumes: list[str] = Field(default_factory=list)
    ports: list[str] = Field(default_factory=list)
    depends_on: list[str] | dict[str, Condition] = Field(default_factory=list)
    healthcheck: Check | None = None
    profiles: list[str] = Field(default_factory=list)
    extra_hosts: list[str] = Field(default_factory=list)
    user: str = ""
    init: bool = False
    restart: Literal["no", "unless-stopped"]
    cap_drop: list[Literal["ALL"]]
    cap_add: list[Literal["DAC_OVERRIDE"]] = Field(default_factory=list)
    security_opt: list[Literal["no-new-privileges:true"]]
    logging: Logging
    mem_limit: Size
    cpus: Annotated[float, Field(gt=0)]


class Compose(Documented):
    name: str
    every: dict[str, Any] = Field(alias="x-every")
    services: dict[str, ComposeService]
    volumes: dict[str, None]
