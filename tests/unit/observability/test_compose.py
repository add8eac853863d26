"""The parts on one laptop fit each other: ports, names, links, mounts."""

import re

import pytest
import yaml

from tests.support.observability.deployed import (
    COMPOSE,
    HERE,
    OURS,
    ROOT,
    SERVICES,
    by_default,
    filled,
    read,
)


def inside() -> dict[str, set[int]]:
    """The ports that each container listens on, as its own configuration says."""
    collector = by_default("collector/collector.yaml")
    protocols = collector["receivers"]["otlp"]["protocols"]
    own = collector["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]
    addresses = [protocols["grpc"]["endpoint"], protocols["http"]["endpoint"]]
    addresses.append(collector["extensions"]["health_check"]["endpoint"])
    tempo, loki = by_default("tempo/tempo.yaml"), by_default("loki/loki.yaml")
    otlp = tempo["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]
    return {
        "collector": {port(a) for a in addresses} | {own["prometheus"]["port"]},
        "tempo": {tempo["server"]["http_listen_port"], port(otlp)},
        "loki": {loki["server"]["http_listen_port"]},
        # These keep to their makers' ports.
        "prometheus": {9090},
        "alertmanager": {9093},
        "grafana": {3000},
        "elasticsearch": {9200},
        "kibana": {5601},
    }


def port(address: str) -> int:
    return int(address.rpartition(":")[2])


def addressed() -> set[tuple[str, int]]:
    """Every host and port by which one of our configurations means a container."""
    texts = "".join(filled(path.read_text("utf-8")) for path in OURS)
    return {
        (host, int(number))
        for host, number in re.findall(rf"\b({'|'.join(SERVICES)}):([0-9]{{4,5}})\b", texts)
    }


def test_whoever_is_addressed_listens_there() -> None:
    listening = inside()
    assert len(addressed()) >= 8
    assert sorted(a for a in addressed() if a[1] not in listening[a[0]]) == []


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_ports_are_opened_on_loopback_alone_and_to_what_listens(name: str) -> None:
    for entry in SERVICES[name].get("ports", []):
        host, outside, within = entry.split(":")
        assert (host, outside) == ("127.0.0.1", within)
        assert int(within) in inside()[name]


def test_ports_on_the_host_are_neither_shared_nor_those_of_the_services() -> None:
    ports = [port(entry) for service in SERVICES.values() for entry in service.get("ports", [])]
    assert len(ports) == len(set(ports))
    assert not set(ports) & {50000 + 10 * k + n for k in (5, 6, 7) for n in range(1, 5)}


def test_what_prometheus_scrapes_by_name_is_known_to_it() -> None:
    scraped = {
        target.split(":")[0]
        for job in read("prometheus/prometheus.yml")["scrape_configs"]
        for group in job["static_configs"]
        for target in group["targets"]
    }
    hosts = {entry.split(":")[0] for entry in SERVICES["prometheus"]["extra_hosts"]}
    assert scraped <= hosts | set(SERVICES) | {"localhost"}


def test_what_is_written_to_prometheus_is_taken_and_exemplars_are_kept() -> None:
    command = SERVICES["prometheus"]["command"]
    assert "--web.enable-remote-write-receiver" in command
    assert "--enable-feature=exemplar-storage" in command


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_container_is_watched_or_ends_by_itself(name: str) -> None:
    requested = SERVICES["ready"]["healthcheck"]["test"][1]
    assert "healthcheck" in SERVICES[name] or f"//{name}:" in requested or name == "elastic-setup"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_what_is_mounted_is_there_or_is_a_volume(name: str) -> None:
    for entry in SERVICES[name].get("volumes", []):
        source = re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", entry).split(":")[0]
        result = (HERE / source).exists() or source.endswith(".rag/logs")
        assert result if source.startswith(".") else source in COMPOSE["volumes"]


def test_elastics_part_is_of_one_version_and_starts_only_where_asked_for() -> None:
    parts = [service for service in SERVICES.values() if "elastic.co" in service["image"]]
    assert {service["image"].split(":")[1] for service in parts} == {"9.5.4"}
    assert all(service["profiles"] == ["elk"] for service in parts)
    started = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert {"collector", "tempo", "loki", "prometheus", "alertmanager", "grafana"} <= started


def test_the_links_between_data_sources_lead_to_data_sources() -> None:
    text = (HERE / "grafana/provisioning/datasources/rag.yaml").read_text("utf-8")
    sources = {one["uid"] for one in yaml.safe_load(text)["datasources"]}
    assert set(re.findall(r"datasourceUid: (\S+)", text)) == {"prometheus", "tempo", "loki"}
    assert {"prometheus", "tempo", "loki"} <= sources


def test_an_exemplars_label_is_the_one_that_the_services_give() -> None:
    [prometheus] = [
        one
        for one in read("grafana/provisioning/datasources/rag.yaml")["datasources"]
        if one["type"] == "prometheus"
    ]
    [link] = prometheus["jsonData"]["exemplarTraceIdDestinations"]
    assert link["name"] in (ROOT / "libs/common/rag_common/observability/metrics.py").read_text(
        "utf-8"
    )


def test_grafana_finds_the_dashboards_where_they_are_mounted() -> None:
    [provider] = read("grafana/provisioning/dashboards/rag.yaml")["providers"]
    assert (
        f"./grafana/dashboards:{provider['options']['path']}:ro" in SERVICES["grafana"]["volumes"]
    )
    assert list((HERE / "grafana/dashboards").glob("*.json"))


def test_lokis_streams_have_the_label_that_a_span_leads_to() -> None:
    [labels, _] = by_default("loki/loki.yaml")["limits_config"]["otlp_config"][
        "resource_attributes"
    ]["attributes_config"]
    tempo = (HERE / "grafana/provisioning/datasources/rag.yaml").read_text("utf-8")
    assert "service.namespace" in labels["attributes"]
    assert 'service_namespace="rag"' in tempo
    assert '"service.namespace": "rag"' in (
        ROOT / "libs/common/rag_common/observability/otlp/exporters.py"
    ).read_text("utf-8")
