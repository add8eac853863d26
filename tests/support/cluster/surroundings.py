"""What is in a cluster before the chart is installed: definitions, volumes, namespaces of k8s/ and Secrets."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from tests.support.cluster.control_plane import Cluster
from tests.support.cluster.programs import custom_resources
from tests.support.parts import ROOT

OVERLAYS = ROOT / "k8s" / "overlays"


def install_definitions(cluster: Cluster, kinds: Iterable[str]) -> None:
    """Create the custom resource definitions of these kinds, and return when the API serves them."""
    files = [path for path in custom_resources() if _kind(path) in set(kinds)]
    words = [word for path in files for word in ("--filename", str(path))]
    # They are not ours to validate, and hold megabytes.
    cluster.kubectl("create", "--validate=false", *words)
    cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")


def create_volumes(cluster: Cluster, storage_class: str, number: int, folder: Path) -> None:
    """Volumes for claims of a class whose provisioner is not in this cluster."""
    cluster.apply(
        *(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"{storage_class}-{index}"},
                "spec": {
                    "capacity": {"storage": "1Ti"},
                    "accessModes": ["ReadWriteOnce"],
                    "persistentVolumeReclaimPolicy": "Retain",
                    "storageClassName": storage_class,
                    "hostPath": {"path": str(folder / str(index))},
                },
            }
            for index in range(number)
        )
    )


def apply_overlay(cluster: Cluster, name: str, namespace: str = "") -> str:
    """Apply an overlay of k8s/ with strict validation; returns its namespace.

    `namespace` gives it another one, as an overlay for a further region does.
    """
    folder = OVERLAYS / name
    overlay = yaml.safe_load((folder / "kustomization.yaml").read_text())
    with TemporaryDirectory() as other:
        wanted = Path(other).resolve()
        further = {"namespace": namespace, "resources": [os.path.relpath(folder, wanted)]}
        (wanted / "kustomization.yaml").write_text(yaml.safe_dump(further))
        source = wanted if namespace else folder
        cluster.kubectl("apply", "--validate=strict", "--kustomize", str(source))
    return namespace or str(overlay["namespace"])


def create_secrets(cluster: Cluster, namespace: str, names: Sequence[str]) -> None:
    """Secrets that a release refers to, for pods that are simulated and read none."""
    cluster.apply(
        *(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": namespace},
                "stringData": {"for": "a simulated pod"},
            }
            for name in names
        )
    )


def _kind(path: Path) -> str:
    # The first lines name the kind; the whole file takes seconds to read.
    for line in path.read_text().splitlines():
        if line.startswith("    kind: "):
            return line.removeprefix("    kind: ")
    raise AssertionError(f"{path.name} defines no kind")
