"""The call graph that the code states: who connects to which port of whom."""

import importlib
from dataclasses import dataclass
from typing import Any

from tools.services import SERVICES

from rag_edge.companion.settings import Settings as Companion

# Ports of programs that are not ours, and of those that have no settings class of a service.
REDIS, OTLP, COLLECTOR_METRICS, QDRANT_PEERS = 6379, 4317, 8888, 6335
QDRANT = (6333, 6334)
EDGE, ENVOY_METRICS, COMPANION = 8443, 9902, Companion.model_fields["http_port"].default
CANARY = 50076


@dataclass(frozen=True, order=True)
class Link:
    """A connection from a component (or `monitoring`, `clients`) to a port of another."""

    source: str
    target: str
    port: int


def service_links() -> set[Link]:
    """The calls among the services and the edge."""
    grpc = {service: _default(service, "port") for service in SERVICES}
    http = {service: _default(service, "http_port") for service in SERVICES}
    links = {
        Link(source, target, grpc[target])
        for source in SERVICES
        for target in SERVICES
        if f"{target}_target" in SERVICES[source].model_fields and source in callers(target)
    }
    links |= {Link(caller, "gateway", grpc["gateway"]) for caller in callers("gateway")}
    # The edge reads readiness and keys from the gateway's HTTP port.
    links |= {Link("edge", "gateway", http["gateway"])}
    return links | {Link("monitoring", service, http[service]) for service in SERVICES}


def callers(service: str) -> set[str]:
    """The services that may call a service. `operator` is a person, who has no pod."""
    if service == "gateway":
        return set(_default("gateway", "callers").split(",")) - {"operator"}
    table = importlib.import_module(f"rag_{service}.api.callers").CALLERS
    return set().union(*table.values()) - {"operator"}


def links(values: dict[str, Any]) -> set[Link]:
    """All connections within a release with these values."""
    result = service_links() | {Link("clients", "edge", EDGE)}
    if values["canary"]["enabled"] and values["canary"]["provider"] == "gatewayApi":
        result.add(Link("routes", "gateway", _default("gateway", "port")))
    result |= {Link("monitoring", "edge", ENVOY_METRICS), Link("monitoring", "edge", COMPANION)}
    if values["redis"]["enabled"]:
        result.add(Link("gateway", "redis", REDIS))
    if values["collector"]["enabled"]:
        result |= {Link(sender, "collector", OTLP) for sender in (*SERVICES, "edge")}
        result.add(Link("monitoring", "collector", COLLECTOR_METRICS))
    if has_analysis(values):
        result |= {Link("edge", "canary", CANARY), Link("monitoring", "canary", CANARY)}
    if values["qdrant"]["enabled"]:
        result |= {Link("retriever", "qdrant", port) for port in QDRANT}
        result |= {Link("qdrant", "qdrant", QDRANT_PEERS), Link("monitoring", "qdrant", QDRANT[0])}
    return result


def external(values: dict[str, Any]) -> set[tuple[str, str]]:
    """Component and name of the destinations outside the release."""
    pods = {**values["components"], "edge": values["edge"]}
    settings = {component: _all_settings(component, values) for component in pods}
    result = {(component, "vault") for component in pods if uses_vault(component, values)}
    if values["redis"]["url"]:
        result.add(("gateway", "redis"))
    if values["index"]["engine"] == "server" and values["index"]["url"]:
        result.add(("retriever", "qdrant"))
    if values["telemetry"]["endpoint"]:
        result |= {(component, "telemetry") for component in (*SERVICES, "edge")}
    if "openai_url" in settings["generator"]:
        result.add(("generator", "llm"))
    if settings["gateway"] & {"issuers"} or settings["edge"] & {"providers"}:
        result |= {("gateway", "issuers"), ("edge", "issuers")}
    if "reranker" in settings["embedder"]:
        result.add(("embedder", "models"))
    return result


def uses_vault(component: str, values: dict[str, Any]) -> bool:
    """Whether a component logs in to Vault: for its certificate, a secret, or to sign tokens."""
    if component not in (*SERVICES, "edge"):
        return False
    own = values["components"].get(component, {})
    secrets = [one for one in own.get("secrets", {}).values() if one.get("vault")]
    signs = component == "gateway" and not own["jwksSecret"]
    return bool(values["tls"]["mode"] == "vault" or secrets or signs)


def _all_settings(component: str, values: dict[str, Any]) -> set[str]:
    """Names of the settings of a component in any lane."""
    own = values["edge"] if component == "edge" else values["components"][component]
    canary = values["canary"]
    lanes = canary["enabled"] and canary["provider"] != "argoRollouts"
    in_lane = lanes and component in canary["components"]
    return {*own["settings"], *(canary["settings"].get(component, {}) if in_lane else {})}


def is_rollout(component: str, values: dict[str, Any]) -> bool:
    """Whether Argo Rollouts runs a component's pods."""
    canary = values["canary"]
    argo = canary["enabled"] and canary["provider"] == "argoRollouts"
    return argo and component in canary["components"]


def has_analysis(values: dict[str, Any]) -> bool:
    """Whether a program of ours compares the lanes."""
    return bool(values["canary"]["enabled"] and values["canary"]["provider"] == "envoy")


def _default(service: str, setting: str) -> Any:
    return SERVICES[service].model_fields[setting].default
