"""The programs that the tests of a cluster start, each named by an environment variable."""

import os
from pathlib import Path

import pytest

from tests.support.parts import missing, server


def cluster_program() -> str:
    """Starts and ends a cluster: `up FOLDER [--real | --nodes N]`, `run`, `load`, `down`."""
    return server("CLUSTER", "the program that starts a Kubernetes cluster")


def kubectl_program() -> str:
    return server("KUBECTL", "kubectl")


def helm_program() -> str:
    return server("HELM", "helm 4")


def custom_resources() -> list[Path]:
    """Files of the custom resource definitions that the chart's objects may need."""
    return sorted(_path("KUBERNETES_CRDS", "a folder of CustomResourceDefinitions").glob("*.yaml"))


def qdrant_chart() -> Path:
    """The archive of Qdrant's chart, the dependency of ours."""
    return _path("QDRANT_CHART", "the archive of Qdrant's Helm chart")


def _path(variable: str, name: str) -> Path:
    given = os.environ.get(variable, "")
    if not given:
        missing(f"{name} is missing: set {variable} to its path")
    path = Path(given)
    if not path.exists():
        pytest.fail(f"{variable} is {given}, which does not exist", pytrace=False)
    return path.absolute()
