"""NetworkPolicies allow what the code's call graph needs, in both directions, and nothing else."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tools.chart.package import SOURCE
from tools.services import SERVICES

from tests.support.chart.cases import Case, each_case
from tests.support.chart.graph import Link, callers, external, has_analysis, links, service_links
from tests.support.chart.rendering import Object

NAME = "app.kubernetes.io/name"
INSTANCE = "app.kubernetes.io/instance"
OUTSIDE = ("monitoring", "clients", "routes")
TABLE: dict[str, Any] = yaml.safe_load((SOURCE / "files" / "components.yaml").read_text("utf-8"))


def test_the_chart_s_table_is_the_code_s_call_graph() -> None:
    stated = {
        Link(caller, component, facts["ports"][port])
        for component, facts in TABLE.items()
        for port, names in facts["callers"].items()
        for caller in names
    }
    assert stated == service_links()
    assert {target for target in TABLE if "gateway" in callers(target)} == set(
        TABLE["gateway"]["calls"]
    )


@pytest.mark.parametrize("service", SERVICES)
def test_the_chart_s_ports_are_the_defaults_of_the_code(service: str) -> None:
    fields = SERVICES[service].model_fields
    ports = {"grpc": "port", "health": "health_port", "http": "http_port"}
    assert TABLE[service]["ports"] == {port: fields[field].default for port, field in ports.items()}
    assert TABLE[service]["prefix"] + "_" == SERVICES[service].model_config["env_prefix"]


@each_case
def test_what_may_connect_is_the_call_graph(case: Case) -> None:
    if not case.values["networkPolicy"]["enabled"]:
        assert case.rendered.of_kind("NetworkPolicy") == []
        return
    allowed = {link for policy in policies(case) for link in ingress(case, policy)}
    assert allowed == links(case.values)


@each_case
def test_what_may_be_connected_to_is_the_call_graph(case: Case) -> None:
    if not case.values["networkPolicy"]["enabled"]:
        return
    allowed = {link for policy in policies(case) for link in egress(policy)}
    wanted = {one for one in links(case.values) if one.source not in OUTSIDE}
    # The test's pod is the release's own client.
    assert allowed == wanted | {Link("smoke-test", "edge", 8443)}


@each_case
def test_destinations_outside_are_those_that_are_used(case: Case) -> None:
    if not case.values["networkPolicy"]["enabled"]:
        return
    rules = {
        (
            component_of(policy),
            tuple(port["port"] for port in rule["ports"]),
            str(rule.get("to", [])),
        )
        for policy in policies(case)
        for rule in policy["spec"].get("egress", ())
        if is_outside(rule)
    }
    destinations = case.values["networkPolicy"]["external"]
    wanted = {
        (component, tuple(destinations[target]["ports"]), str(destinations[target]["to"]))
        for component, target in external(case.values)
    }
    assert rules == wanted | collector_rules(case) | canary_rules(case)


@each_case
def test_every_pod_is_under_a_policy_for_both_directions(case: Case) -> None:
    if not case.values["networkPolicy"]["enabled"]:
        return
    rendered = case.rendered
    pods = [
        one["spec"]["template"] for one in rendered.objects if "template" in one.get("spec", {})
    ]
    for pod in [*pods, *rendered.of_kind("Pod")]:
        kinds = {
            kind
            for policy in policies(case)
            if policy["spec"]["podSelector"]["matchLabels"].items()
            <= pod["metadata"]["labels"].items()
            for kind in policy["spec"]["policyTypes"]
        }
        assert kinds == {"Ingress", "Egress"}, pod["metadata"]


@each_case
def test_names_are_resolved_at_the_cluster_s_dns_only(case: Case) -> None:
    dns = case.values["networkPolicy"]["dns"]
    for policy in policies(case):
        rules = [rule for rule in policy["spec"].get("egress", ()) if is_dns(rule)]
        if "Ingress" in policy["spec"]["policyTypes"]:
            (rule,) = rules
            assert rule["to"] == [{"namespaceSelector": {"matchLabels": dns["namespace"]}}]


def policies(case: Case) -> list[Object]:
    return case.rendered.of_kind("NetworkPolicy")


def component_of(policy: Object) -> str:
    result: str = policy["spec"]["podSelector"]["matchLabels"][NAME]
    return result


def ingress(case: Case, policy: Object) -> Iterator[Link]:
    for rule in policy["spec"].get("ingress", ()):
        for source in sources(rule, case.values):
            for port in rule["ports"]:
                yield Link(source, component_of(policy), port["port"])


def sources(rule: Object, values: dict[str, Any]) -> Iterator[str]:
    peers = rule.get("from")
    if not peers:
        assert not values["networkPolicy"]["clients"]
        yield "clients"
        return
    for peer in peers:
        if "podSelector" in peer:
            component = peer_component(peer)
            # It is among the clients.
            if component != "smoke-test":
                yield component
            continue
        labels = peer["namespaceSelector"]["matchLabels"]
        (name,) = (one for one, known in namespaces(values).items() if known == labels)
        yield name


def namespaces(values: dict[str, Any]) -> dict[str, Any]:
    """Labels of the namespaces outside the release, by the name of their pods."""
    policy = values["networkPolicy"]
    route = values["canary"]["gatewayApi"]["clients"]
    return {"monitoring": policy["monitoring"], "clients": policy["clients"], "routes": route}


def egress(policy: Object) -> Iterator[Link]:
    for rule in policy["spec"].get("egress", ()):
        for peer in rule.get("to", ()):
            if "podSelector" in peer:
                for port in rule["ports"]:
                    yield Link(component_of(policy), peer_component(peer), port["port"])


def peer_component(peer: Object) -> str:
    """The component of a peer, which is of this release and of this namespace."""
    assert peer.keys() == {"podSelector"}
    labels = peer["podSelector"]["matchLabels"]
    assert labels[INSTANCE] == "rag"
    result: str = labels[NAME]
    return result


def is_dns(rule: Object) -> bool:
    return any(port["protocol"] == "UDP" for port in rule["ports"] if "protocol" in port)


def is_outside(rule: Object) -> bool:
    inside = [peer for peer in rule.get("to", ()) if "podSelector" in peer]
    return not inside and not is_dns(rule)


def collector_rules(case: Case) -> set[tuple[str, tuple[int, ...], str]]:
    """What collector.egress states, as it is."""
    rules = case.values["collector"]["egress"] if case.values["collector"]["enabled"] else []
    return {
        ("collector", tuple(port["port"] for port in rule["ports"]), str(rule["to"]))
        for rule in rules
    }


def canary_rules(case: Case) -> set[tuple[str, tuple[int, ...], str]]:
    """Where the analysis of a canary finds Prometheus."""
    target = case.values["canary"]["prometheusEgress"]
    rule = ("canary", tuple(target["ports"]), str(target["to"]))
    return {rule} if has_analysis(case.values) else set()
