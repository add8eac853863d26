"""Whatever is set, the objects are valid, stand alone, and refer only to what exists."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.chart.cases import FILES, Case, all_cases, each_case
from tests.support.chart.references import documented, references
from tests.support.chart.rendering import Object, name, render
from tests.support.chart.validation import VERSIONS, errors, is_custom

CASES = all_cases()


@pytest.mark.parametrize("version", VERSIONS)
@each_case
def test_objects_are_valid_and_have_no_unknown_field(case: Case, version: str) -> None:
    objects = case.rendered.objects
    assert [error for one in objects for error in errors(one, version)] == []


def test_custom_objects_are_compared_with_their_definitions() -> None:
    kinds = {one["kind"] for case in CASES for one in case.rendered.objects if is_custom(one)}
    assert kinds == {
        *("AnalysisTemplate", "BackendTLSPolicy", "Certificate", "ExternalSecret", "GRPCRoute"),
        *("PrometheusRule", "Rollout", "ScaledObject", "ServiceMonitor"),
    }


def test_an_unknown_field_is_an_error() -> None:
    for kind in ("Deployment", "Certificate"):
        one = next(one for one in CASES[1].rendered.objects if one["kind"] == kind)
        assert errors({**one, "spec": {**one["spec"], "replica": 1}}, VERSIONS[-1])


@each_case
def test_no_two_objects_have_the_same_name(case: Case) -> None:
    count = Counter((one["kind"], name(one)) for one in case.rendered.objects)
    assert [key for key, times in count.items() if times > 1] == []


@each_case
def test_all_objects_are_in_the_release_s_namespace(case: Case) -> None:
    assert {one["metadata"].get("namespace") for one in case.rendered.own} == {"rag"}


@each_case
def test_nothing_is_made_that_holds_a_secret(case: Case) -> None:
    secrets = [one for one in case.rendered.objects if one["kind"] == "Secret"]
    # Qdrant's chart makes one without content for a key that is in another Secret.
    assert [one for one in secrets if one.get("data") or one.get("stringData")] == []
    assert case.rendered.of_kind("Secret") == []


@pytest.mark.parametrize("files", FILES)
def test_rendering_twice_gives_the_same_bytes(files: str) -> None:
    assert render({}, FILES[files]).text == Case(files).rendered.text


@each_case
def test_what_a_pod_refers_to_exists_or_is_a_documented_secret(case: Case) -> None:
    rendered = case.rendered
    there = {(one["kind"], name(one)) for one in rendered.objects} | made(rendered.objects)
    wanted = {reference for _, spec in rendered.pods for reference in references(spec)}
    given = documented(case.values, rendered.release)
    assert wanted - there - given == set()


@each_case
def test_services_monitors_and_scalers_select_what_exists(case: Case) -> None:
    rendered = case.rendered
    running = [*rendered.workloads, *rendered.of_kind("Job")]
    templates = [one["spec"]["template"] for one in running]
    for service in rendered.of_kind("Service"):
        pods = [one for one in templates if selects(service["spec"]["selector"], one)]
        assert pods, name(service)
        ports = {
            port["name"] for pod in pods for c in pod["spec"]["containers"] for port in c["ports"]
        }
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    scaled = [*rendered.workloads, *rendered.of_kind("Rollout")]
    workloads = {(one["kind"], name(one)) for one in scaled}
    for scaler in rendered.of_kind("HorizontalPodAutoscaler", "ScaledObject"):
        target = scaler["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) in workloads


@each_case
def test_a_monitor_s_ports_are_those_of_the_services_that_it_selects(case: Case) -> None:
    services = case.rendered.of_kind("Service")
    for monitor in case.rendered.of_kind("ServiceMonitor"):
        (names,) = monitor["spec"]["selector"]["matchExpressions"]
        for component in names["values"]:
            ports = {
                port["name"]
                for one in services
                if one["metadata"]["labels"]["app.kubernetes.io/name"] == component
                for port in one["spec"]["ports"]
            }
            assert {one["port"] for one in monitor["spec"]["endpoints"]} <= ports


def selects(selector: dict[str, str], template: Object) -> bool:
    return selector.items() <= template["metadata"]["labels"].items()


def made(objects: list[Object]) -> set[tuple[str, str]]:
    """The Secrets that other controllers make of these objects."""
    return {("Secret", secret) for one in objects for secret in _made(one)}


def _made(one: Object) -> Iterator[Any]:
    if one["kind"] == "Certificate":
        yield one["spec"]["secretName"]
    if one["kind"] == "ExternalSecret":
        yield one["spec"]["target"]["name"]
