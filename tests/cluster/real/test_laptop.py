"""A region of values-laptop.yaml on a real node: answers, telemetry, and closed ports."""

import json
import re

import pytest
import yaml

from rag_embedder.api.callers import CALLERS as EMBEDDER
from rag_generator.api.callers import CALLERS as GENERATOR
from rag_ingestor.api.callers import CALLERS as INGESTOR
from rag_retriever.api.callers import CALLERS as RETRIEVER
from tests.support.cluster.network import Endpoint, answers
from tests.support.cluster.region import Region
from tests.support.waiting import wait_until

# Those that a question passes through.
QUESTION = ("gateway", "embedder", "retriever", "generator")
SERVICES = (*QUESTION, "ingestor")
PODS = (*SERVICES, "edge", "redis")


@pytest.fixture(scope="module")
def trace(region: Region) -> str:
    """The trace of the question that `helm test` asked."""
    log = region.test()
    steps = re.findall(r"^(.+): ok, ", log, re.MULTILINE)
    assert steps == ["upload", "answer", "delete", "search after deletion"], log
    found = re.search(r"trace ([0-9a-f]{32})", log)
    assert found, log
    return found[1]


def test_helm_test_uploads_asks_and_cites(trace: str) -> None:
    assert len(trace) == 32


def test_the_trace_reaches_every_process(region: Region, trace: str, tempo: str) -> None:
    def shown() -> str:
        done = region.client("trace", trace, "--url", tempo)
        return done.stdout if done.returncode == 0 else ""

    complete = wait_until(
        lambda: all(name in (text := shown()) for name in (*QUESTION, "edge")) and text,
        "the trace names every process",
    )
    assert "laptop" in region.client("trace", trace, "--url", tempo, "-v").stdout, complete


@pytest.mark.parametrize("service", SERVICES)
def test_each_log_has_the_call_and_the_region(region: Region, trace: str, service: str) -> None:
    logs = [region.logs(pod.name) for pod in region.pods(service)]
    lines = [json.loads(line) for log in logs for line in log.splitlines()]
    calls = [line for line in lines if line["event"] == "call"]
    if service in QUESTION:
        calls = [line for line in calls if line.get("trace_id") == trace]
    assert calls, service
    assert {line["region"] for line in calls} == {"laptop"}


def test_the_edge_s_log_has_the_call(region: Region, trace: str) -> None:
    def logged() -> bool:
        logs = [region.logs(pod.name, "--container=envoy") for pod in region.pods("edge")]
        return any(trace in log for log in logs)

    # Envoy writes its log every ten seconds.
    wait_until(logged, "the call is in the log", seconds=30)


@pytest.mark.parametrize("service", SERVICES)
def test_metrics_are_served_with_the_region(region: Region, service: str) -> None:
    facts = yaml.safe_load((region.chart / "files" / "components.yaml").read_text("utf-8"))[service]
    for pod in region.pods(service):
        page = region.fetch(pod, facts["ports"]["http"], "/metrics")
        assert re.search(r'rag_rpc_server_duration_seconds_count\{[^}]*region="laptop"', page)


def graph() -> dict[Endpoint, set[str]]:
    """Who may connect to each port, as the services' own rules state it."""
    callers = {
        service: {caller for names in rules.values() for caller in names} & set(PODS)
        for service, rules in (
            ("embedder", EMBEDDER),
            ("retriever", RETRIEVER),
            ("generator", GENERATOR),
            ("ingestor", INGESTOR),
        )
    }
    number = {"embedder": 2, "retriever": 3, "generator": 4, "ingestor": 7}
    return {
        **{Endpoint(name, 50050 + number[name]): who for name, who in callers.items()},
        **{Endpoint(name, 50060 + number[name]): set() for name in callers},
        **{Endpoint(name, 50070 + number[name]): set() for name in callers},
        Endpoint("gateway", 50051): {"edge"},
        Endpoint("gateway", 50061): set(),
        # The public keys of tokens, and readiness.
        Endpoint("gateway", 50071): {"edge"},
        Endpoint("redis", 6379): {"gateway"},
        # Everyone may be a client of the edge, but no component has a rule by which it could connect.
        Endpoint("edge", 8443): set(),
        Endpoint("edge", 9902): set(),
        Endpoint("edge", 50075): set(),
    }  # fmt: skip


def test_connections_are_possible_exactly_where_the_call_graph_says_so(region: Region) -> None:
    expected = graph()
    assert answers(region, PODS, list(expected)) == expected
