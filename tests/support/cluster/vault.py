"""A Vault on a real node that a test starts, stops and starts again."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.support.cluster.load import only_child
from tests.support.cluster.region import NODE, Region
from tests.support.cluster.vault_server import PORT
from tests.support.parts import ROOT
from tests.support.waiting import wait_until

_REVIEWER = "vault-reviewer"


class NodeVault:
    """A Vault that runs in the node's network; `ca_file` verifies its certificate."""

    def __init__(self, folder: Path, process: int) -> None:
        self._folder = folder
        self._process = process
        self.address = f"https://{NODE}:{PORT}"
        self.ca_file = folder / "vault" / "tls" / "ca.crt"

    def stop(self) -> None:
        os.kill(only_child(self._process), signal.SIGUSR1)
        wait_until(lambda: not self.serves(), "Vault has stopped")

    def start(self) -> None:
        os.kill(only_child(self._process), signal.SIGUSR2)
        wait_until(self.serves, "Vault serves again", seconds=60)

    def serves(self) -> bool:
        return (self._folder / "ready").exists()


@contextmanager
def node_vault(region: Region, folder: Path) -> Iterator[NodeVault]:
    """A Vault on the region's node, by which its service accounts log in."""
    cluster = region.cluster
    api = yaml.safe_load(cluster.kubeconfig.read_text())["clusters"][0]["cluster"]
    token_file = folder / "reviewer"
    cluster.apply(*_reviewer())
    token = cluster.kubectl("--namespace", "kube-system", "create", "token", _REVIEWER)
    token_file.write_text(token.strip())
    (folder / "redis-password").write_text((region.home / "cluster" / "redis-password").read_text())
    command = (
        *("env", f"--chdir={ROOT}", sys.executable, "-m", "tests.support.cluster.vault_server"),
        *map(str, (folder, api["server"], api["certificate-authority"], token_file)),
    )
    log = folder / "vault.log"
    process = cluster.start(*command, log=log)
    vault = NodeVault(folder, process.pid)
    try:
        wait_until(vault.serves, f"Vault serves; its log is {log}", seconds=60)
        yield vault
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _reviewer() -> list[dict[str, object]]:
    """The account by which Vault asks Kubernetes whether a token is valid."""
    name = {"name": _REVIEWER}
    group = "rbac.authorization.k8s.io"
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {**name, "namespace": "kube-system"},
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": name,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "system:auth-delegator"},
            "subjects": [{"kind": "ServiceAccount", "namespace": "kube-system", **name}],
        },
    ]
