"""Values that are wrong are refused before anything is installed, with their path or with what to do."""

import json
from typing import Any

import jsonschema_rs
import pytest
from tools.chart.schema import SCHEMA, merged, values_schema

from tests.support.chart.cases import FILES
from tests.support.chart.rendering import Refused, render

LAPTOP = FILES["values-laptop"]
PRODUCTION = FILES["eu-central-1"]
SCHEMA_OF_VALUES = json.loads(SCHEMA.read_text("utf-8"))
SERVER = {"index": {"engine": "server"}}


def at(path: str, value: Any) -> dict[str, Any]:
    """Values with one at a path."""
    for step in reversed(path.split(".")):
        value = {step: value}
    return value


def test_the_file_is_what_the_code_says() -> None:
    assert values_schema() == SCHEMA_OF_VALUES


def test_the_schema_is_valid_and_all_its_references_exist() -> None:
    jsonschema_rs.meta.validate(SCHEMA_OF_VALUES)
    jsonschema_rs.Draft202012Validator(SCHEMA_OF_VALUES, validate_formats=True)


def test_every_object_is_closed_but_those_that_are_passed_on() -> None:
    free = {
        path for path, node in objects(SCHEMA_OF_VALUES) if node.get("additionalProperties") is True
    }
    assert free == {"qdrant", "qdrant.env.[]"}
    for path, node in objects(SCHEMA_OF_VALUES):
        assert "properties" not in node or "additionalProperties" in node, path


REFUSED: list[tuple[str, Any, str]] = [
    ("regoin", "a", "additional properties 'regoin' not allowed"),
    ("components.gateway.settings.serches", 12, "at '/components/gateway/settings'"),
    (
        "components.gateway.settings.searches",
        2,
        "at '/components/gateway/settings/searches': minimum",
    ),
    ("components.gateway.settings.searches", "12", "got string, want integer"),
    ("components.gateway.settings.capture", "of", "value must be one of 'off', 'redacted'"),
    ("components.gateway.settings.redis_url", "redis://a/0", "'redis_url' not allowed"),
    ("components.gateway.settings.tls", "off", "'tls' not allowed"),
    ("components.gateway.resources", None, "missing property 'resources'"),
    ("components.gateway.resources.limits.memory", None, "missing property 'memory'"),
    ("components.retriever.persistence.size", "big", "at '/components/retriever/persistence/size'"),
    ("components.gateway.env.GATEWAY_SEARCHES", "12", "GATEWAY_SEARCHES"),
    ("components.worker", {}, "'worker' not allowed"),
    ("edge.settings.leway", 1, "at '/edge/settings'"),
    (
        "edge.settings.idle_timeout",
        300,
        "at '/edge/settings/idle_timeout': got number, want string",
    ),
    ("edge.settings.calls", -1, "at '/edge/settings/calls': minimum"),
    ("edge.drain.delay", "ten", "at '/edge/drain/delay': got string, want integer"),
    ("canary.analysis.stpes", [], "additional properties 'stpes' not allowed"),
    ("canary.analysis.probe", ["true"], "additional properties 'probe' not allowed"),
    ("canary.analysis.samples", 0, "at '/canary/analysis/samples': minimum"),
    ("canary.analysis.must_pass", ["fast"], "at '/canary/analysis/must_pass/0'"),
    ("canary.analysis.steps", [{"share": 0, "seconds": 9}], "at '/canary/analysis/steps'"),
    ("canary.settings.gateway.serches", 12, "at '/canary/settings/gateway'"),
    ("tls.mode", "off", "at '/tls/mode': value must be one of"),
    ("vault.address", "http://vault:8200", "at '/vault/address'"),
    ("image.digests.gateway", "sha256:12", "at '/image/digests/gateway'"),
    ("redis.url", "redis.example:6379", "at '/redis/url'"),
    ("telemetry.sampling", 10, "at '/telemetry/sampling': maximum"),
    ("collector.env.COLLECTOR_SHRE", "1", "at '/collector/env'"),
]


@pytest.mark.parametrize(
    ("path", "value", "message"), REFUSED, ids=[f"{r[0]}={r[1]}" for r in REFUSED]
)
def test_a_wrong_value_is_refused_with_its_path(path: str, value: Any, message: str) -> None:
    with pytest.raises(Refused, match="values don't meet the specifications") as refusal:
        render(at(path, value), LAPTOP)
    assert message in str(refusal.value)


PLANTED = "hunter2-hunter2"
SECRETS: list[tuple[str, Any]] = [
    ("components.gateway.secrets.redis_password", PLANTED),
    ("components.gateway.settings.redis_password", PLANTED),
    ("components.generator.settings.openai_api_key", PLANTED),
    ("components.generator.secrets.openai_api_key", {"value": PLANTED}),
    ("components.generator.env.OPENAI_API_KEY", PLANTED),
    ("components.generator.env.OTEL_EXPORTER_OTLP_HEADERS", f"authorization={PLANTED}"),
    ("collector.env.ELASTICSEARCH_API_KEY", PLANTED),
    ("redis.url", f"rediss://user:{PLANTED}@redis:6379/0"),
    ("index.url", f"https://user:{PLANTED}@qdrant:6333"),
    ("qdrant.apiKey", PLANTED),
    ("qdrant.readOnlyApiKey", PLANTED),
    ("qdrant.env", [{"name": "QDRANT__SERVICE__API_KEY", "value": PLANTED}]),
]


@pytest.mark.parametrize(("path", "value"), SECRETS, ids=[row[0] for row in SECRETS])
def test_a_secret_cannot_be_a_value(path: str, value: Any) -> None:
    with pytest.raises(Refused, match="values don't meet the specifications"):
        render(at(path, value), LAPTOP)


@pytest.mark.parametrize("path", ["qdrant.apiKey", "qdrant.readOnlyApiKey"])
@pytest.mark.parametrize(
    "form", [True, "", {"valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]
)
def test_a_key_of_qdrant_s_chart_is_refused_in_every_form(path: str, form: Any) -> None:
    # Qdrant's chart would copy it from the Secret into its own, and into the release.
    with pytest.raises(Refused, match="value must be false"):
        render(at(path, form), PRODUCTION)


def test_a_later_file_replaces_a_reference() -> None:
    reference = {"secret": None, "vault": "rag/redis#password"}
    values = merged(
        at("components.gateway.secrets.redis_password", reference),
        at("vault.address", "https://v:8200"),
    )
    data = render(values, LAPTOP).get("ConfigMap", "rag-gateway")["data"]
    assert data["GATEWAY_REDIS_PASSWORD"] == "vault:rag/redis#password"


def test_global_values_are_allowed() -> None:
    assert render({"global": {"any": 1}}, LAPTOP).objects


MADE = {"name": "a", "data": {"b": {"key": "c"}}}
GUARDS: list[tuple[dict[str, Any], str]] = [
    (at("region", ""), "region is required: take a file of regions/, or set it"),
    (
        at("redis.enabled", False),
        "a region needs Redis: set redis.url, or redis.enabled for a laptop",
    ),
    (at("redis.url", "redis://r:6379/0"), "redis.enabled and redis.url exclude each other"),
    (at("redis.aclSecret", ""), "redis.aclSecret names the Secret with users.acl"),
    (at("tls.mode", "vault"), "tls.mode is vault: set vault.address"),
    (at("tls.mode", "certManager"), "tls.issuer.name is required"),
    (at("edge.certificate.secret", ""), "edge.certificate"),
    (SERVER, "index.engine is server: set index.url, or qdrant.enabled"),
    (at("components.retriever.autoscaling.enabled", True), "the embedded index has one pod"),
    (
        at("components.gateway.jwksSecret", ""),
        "nothing signs tokens: set vault.address, or components.gateway.jwksSecret",
    ),
    (
        at("components.generator.secrets.openai_api_key", {"vault": "a#b"}),
        "components.generator.secrets.openai_api_key refers to Vault: set vault.address",
    ),
    (at("canary.enabled", True), "canary.prometheus is required"),
    (
        at("canary", {"enabled": True, "provider": "argoRollouts"}),
        "canary.prometheus is required",
    ),
    (
        at("canary", {"enabled": True, "provider": "gatewayApi"}),
        "canary.gatewayApi.clients is required",
    ),
    (at("edge.image.tag", ""), "the image docker.io/envoyproxy/envoy needs a tag or a digest"),
    (
        at("canary", {"enabled": True, "prometheus": "http://p:9090", "components": ["generator"]}),
        "canary.components must contain gateway",
    ),
    (
        at(
            "canary",
            {
                "enabled": True,
                "prometheus": "http://p:9090",
                "components": ["gateway", "retriever"],
            },
        ),
        "a canary of the retriever needs index.engine server",
    ),
    (
        merged(at("autoscaling.provider", "keda"), at("edge.autoscaling.enabled", True)),
        "autoscaling.prometheus is required for keda",
    ),
    (
        at("externalSecrets", {"enabled": True, "secrets": [MADE]}),
        "externalSecrets.store.name is required",
    ),
]


@pytest.mark.parametrize(("values", "message"), GUARDS, ids=[row[1][:50] for row in GUARDS])
def test_a_combination_that_cannot_work_is_refused_with_what_to_do(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(Refused) as refusal:
        render(values, LAPTOP)
    assert message in str(refusal.value)


def objects(node: Any, path: tuple[str, ...] = ()) -> list[tuple[str, Any]]:
    """The objects that the schema describes, by their path in it."""
    if not isinstance(node, dict):
        return []
    result = [(".".join(path), node)] if node.get("type") == "object" else []
    for name, child in {**node.get("properties", {}), **node.get("$defs", {})}.items():
        result += objects(child, (*path, name))
    return result + objects(node.get("items"), (*path, "[]"))
