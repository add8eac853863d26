"""Two pods of each service under load: no read fails, whatever is killed, upgraded or changed."""

import base64
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.real.conftest import NEXT_VERSION
from tests.support.cluster.control_plane import CommandFailed
from tests.support.cluster.load import Load, reads
from tests.support.cluster.region import Region
from tests.support.waiting import wait_until

# The services that reads pass through.
SERVICES = {"gateway": 50071, "embedder": 50072, "retriever": 50073, "generator": 50074}
COMPONENTS = ("gateway", "embedder", "retriever", "generator", "ingestor", "edge")


@pytest.fixture
def load(wide: Region, tmp_path: Path) -> Iterator[Load]:
    """Reads of two tenants, from before the test until after it, without one that fails."""
    tokens = {name: wide.token(name) for name in ("employees",)}
    with reads(wide.cluster, tmp_path / "load", wide.target, tokens) as load:
        wait_until(lambda: load.answered() > 10, "the load has begun")
        yield load


def ready(region: Region, component: str) -> bool:
    pods = region.pods(component)
    return len(pods) == 2 and all(pod.ready for pod in pods)


def settled(region: Region) -> bool:
    return all(ready(region, component) for component in COMPONENTS)


def calls_of(region: Region, service: str) -> dict[str, float]:
    """Calls that each pod of a service answered."""
    counts = {}
    for pod in region.pods(service):
        page = region.fetch(pod, SERVICES[service], "/metrics")
        counts[pod.name] = sum(
            float(line.rpartition(" ")[2].split(" #")[0])
            for line in page.splitlines()
            if line.startswith("rag_rpc_server_duration_seconds_count{") and "Health" not in line
        )
    return counts


def test_calls_spread_over_the_pods_of_each_service(wide: Region, load: Load) -> None:
    first = {service: calls_of(wide, service) for service in SERVICES}

    def all_used() -> bool:
        """Whether each pod got calls: a new one gets some when its callers' connections end, after a minute."""
        return all(
            count > first[service][pod]
            for service in SERVICES
            for pod, count in calls_of(wide, service).items()
        )

    wait_until(all_used, "all pods get calls", seconds=100)
    before = {service: calls_of(wide, service) for service in SERVICES}
    seen = load.answered()
    wait_until(lambda: load.answered() > seen + 150, "150 more calls", seconds=90)
    for service in SERVICES:
        after = calls_of(wide, service)
        done = [count - before[service][pod] for pod, count in after.items()]
        assert max(done) <= 0.6 * sum(done), (service, done)
    assert not load.end().failures


@pytest.mark.parametrize("service", [*SERVICES, "ingestor"])
def test_a_killed_container_costs_no_read(
    wide: Region, load: Load, service: str, record_testsuite_property: Any
) -> None:
    victim = wide.pods(service)[0]
    wide.kill(victim, service)
    wait_until(
        lambda: any(pod.uid == victim.uid and pod.restarts[service] for pod in wide.pods(service)),
        "the kubelet restarts it",
    )
    wait_until(lambda: settled(wide), "it is ready again", seconds=90)
    calls = load.end()
    record_testsuite_property(f"{service} killed", str(calls))
    assert not calls.failures


def test_a_killed_envoy_costs_no_read_of_a_client_that_tries_again(wide: Region) -> None:
    victim = wide.pods("edge")[0]
    wide.kill(victim, "envoy")
    done = [wide.client("search", "연차휴가 이월") for _ in range(10)]
    assert [one.stderr for one in done if one.returncode] == []
    wait_until(lambda: settled(wide), "it is ready again", seconds=90)
    assert [pod.restarts["envoy"] for pod in wide.pods("edge") if pod.uid == victim.uid] == [1]


def test_an_upgrade_and_a_roll_back_cost_no_call(
    wide: Region, load: Load, record_testsuite_property: Any
) -> None:
    before = {component: {pod.uid for pod in wide.pods(component)} for component in COMPONENTS}
    wide.install(image__tag=NEXT_VERSION)
    for component, old in before.items():
        assert not old & {pod.uid for pod in wide.pods(component)}, component
    wide.roll_back()
    wide.overrides["image"].pop("tag")
    calls = load.end()
    record_testsuite_property("upgrade and roll-back", str(calls))
    assert not calls.failures
    assert calls.answered > 100


def test_changed_certificates_and_secrets_cost_no_call(wide: Region, load: Load) -> None:
    restarts = {pod.uid: pod.restarts for name in COMPONENTS for pod in wide.pods(name)}
    served = [certificate(wide, name) for name in ("gateway", "edge")]
    wide.create_secrets()
    # The kubelet looks at Secrets once a minute, and at once when a pod changes.
    wide.kubectl("annotate", "pods", "--all", "--overwrite", "rag-platform/secrets=changed")
    wait_until(
        lambda: all(
            certificate(wide, name) not in ("", old)
            for name, old in zip(("gateway", "edge"), served, strict=True)
        ),
        "the new certificates are served",
        seconds=120,
    )
    assert {pod.uid: pod.restarts for name in COMPONENTS for pod in wide.pods(name)} == restarts
    assert not load.end().failures


def certificate(region: Region, component: str) -> str:
    """The certificate that a pod of the component serves, as PEM."""
    port = {"gateway": 50051, "edge": 8443}[component]
    address = f"{region.pods(component)[0].address}:{port}"
    done = region.cluster.run("openssl", "s_client", "-connect", address, "-alpn", "h2", seconds=20)
    _, _, rest = done.stdout.partition("-----BEGIN CERTIFICATE-----")
    return rest.partition("-----END CERTIFICATE-----")[0]


@pytest.mark.parametrize(
    ("name", "override"),
    [
        ("an image that does not exist", {"image__tag": "9.9.9"}),
        (
            "a pod that never becomes ready",
            {"components__gateway__settings": {"issuers": "/etc/rag/missing.toml"}},
        ),
    ],
)
def test_a_bad_release_is_rolled_back_and_old_pods_serve_on(
    wide: Region, load: Load, name: str, override: dict[str, Any]
) -> None:
    before = {pod.uid for pod in wide.pods("gateway")}
    kept = deepcopy(wide.overrides)
    with pytest.raises(CommandFailed):
        wide.install("--rollback-on-failure", seconds=45, **override)
    wide.overrides = kept
    wait_until(lambda: settled(wide), "the old release serves", seconds=90)
    assert {pod.uid for pod in wide.pods("gateway")} >= before, name
    assert not load.end().failures


def test_without_redis_calls_go_on_degraded(wide: Region, load: Load) -> None:
    wide.kubectl("scale", "deployment/rag-redis", "--replicas=0")
    wait_until(lambda: degraded(wide), "the gateways say what is missing")
    wide.kubectl("scale", "deployment/rag-redis", "--replicas=1")
    wait_until(lambda: not degraded(wide), "Redis is used again")
    assert not load.end().failures


def degraded(region: Region) -> bool:
    pages = [region.fetch(pod, 50071, "/health/ready") for pod in region.pods("gateway")]
    return any('"limits"' in page and '"degraded"' in page for page in pages)


def test_a_changed_password_of_redis_is_used_without_a_restart(wide: Region) -> None:
    old = wide.pods("gateway")
    (wide.home / "cluster" / "redis-password").unlink()
    wide.create_secrets()
    wide.kubectl("annotate", "pods", "--all", "--overwrite", "rag-platform/secrets=changed again")
    wide.kubectl("rollout", "restart", "deployment/rag-redis")
    wide.kubectl("rollout", "status", "deployment/rag-redis", "--timeout=60s")
    password = base64.b64decode(
        wide.cluster.json("--namespace", wide.namespace, "get", "secret", "rag-redis")["data"][
            "password"
        ]
    )
    assert password.decode() == (wide.home / "cluster" / "redis-password").read_text()
    wait_until(lambda: not degraded(wide), "the new password is used", seconds=120)
    assert {pod.uid: pod.restarts for pod in wide.pods("gateway")} == {
        pod.uid: pod.restarts for pod in old
    }
