"""A region whose secrets and certificates come from Vault, and what it does while Vault is away."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.real.test_replicas import SERVICES
from tests.support.cluster.load import reads
from tests.support.cluster.region import Region
from tests.support.cluster.vault import NodeVault, node_vault
from tests.support.waiting import wait_until

AUTHORITY = "vault-ca"
HEALTH = {**SERVICES, "ingestor": 50077}


@pytest.fixture(scope="module")
def vault(wide: Region, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeVault]:
    """A Vault, from which the region has the certificates of its services and the password of Redis."""
    with node_vault(wide, tmp_path_factory.mktemp("vault")) as vault:
        authority = {"ca.crt": vault.ca_file.read_text("ascii")}
        metadata = {"name": AUTHORITY, "namespace": wide.namespace}
        wide.cluster.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": authority}
        )
        wide.install(
            tls__mode="vault",
            vault__address=vault.address,
            vault__caSecret__name=AUTHORITY,
            components__gateway__secrets__redis_password={
                "vault": "rag/gateway/redis#password",
                "secret": None,
            },
        )
        yield vault


def degraded(region: Region) -> set[str]:
    """The services of which a pod says that Vault is away."""
    return {
        service
        for service, port in HEALTH.items()
        for pod in region.pods(service)
        if pod.ready and '"degraded"' in region.fetch(pod, port, "/health/ready")
    }


def test_a_region_has_its_certificates_and_secrets_from_vault(
    wide: Region, vault: NodeVault
) -> None:
    assert "upload: ok" in wide.test()
    assert not degraded(wide)


def test_while_vault_is_away_calls_go_on_and_new_pods_wait_for_it(
    wide: Region, vault: NodeVault, tmp_path: Path
) -> None:
    tokens = {"employees": wide.token("employees")}
    with reads(wide.cluster, tmp_path / "load", wide.target, tokens) as load:
        wait_until(lambda: load.answered() > 10, "the load has begun")
        vault.stop()
        # It alone reads a secret every few seconds; others need Vault when their login or certificate ends.
        wait_until(lambda: "gateway" in degraded(wide), "the gateways say that Vault is away")
        gone = wide.pods("gateway")[0]
        wide.kubectl("delete", "pod", gone.name, "--wait=false")
        wait_until(
            lambda: any(sum(pod.restarts.values()) for pod in wide.pods("gateway")),
            "the new pod does not start",
        )
        assert sum(pod.ready for pod in wide.pods("gateway")) == 1
        vault.start()
        wait_until(lambda: all(pod.ready for pod in wide.pods("gateway")), "it starts", seconds=120)
        wait_until(lambda: not degraded(wide), "no service is degraded any more", seconds=60)
    assert load.result
    assert not load.result.failures
