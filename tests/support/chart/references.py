"""What pods refer to by name, and the Secrets that the chart's page tells an operator to make."""

import re
from collections.abc import Iterator
from typing import Any

from tools.chart.secrets import SECRETS, Secret

from tests.support.chart.rendering import Object, containers

Reference = tuple[str, str]


def references(spec: Object) -> Iterator[Reference]:
    """Kind and name of all that a pod needs to start."""
    if account := spec.get("serviceAccountName"):
        yield "ServiceAccount", account
    for volume in spec["volumes"]:
        yield from _of_volume(volume)
    for container in containers(spec):
        for source in container.get("envFrom", ()):
            yield "ConfigMap", source["configMapRef"]["name"]


def _of_volume(volume: Object) -> Iterator[Reference]:
    if "secret" in volume:
        yield "Secret", volume["secret"]["secretName"]
    if "configMap" in volume:
        yield "ConfigMap", volume["configMap"]["name"]
    if "persistentVolumeClaim" in volume:
        yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]


def documented(values: dict[str, Any], release: str) -> set[Reference]:
    """The Secrets, and the claim of models, that must exist according to the table of the page."""
    objects = {
        (secret.kind, name) for secret in SECRETS for name in _names(secret, values, release)
    }
    claim = values["components"]["embedder"]["models"]["claim"]
    return objects | {("PersistentVolumeClaim", claim)}


def _names(secret: Secret, values: dict[str, Any], release: str) -> Iterator[str]:
    if secret.name:
        for component in secret.components:
            yield secret.name.replace("RELEASE", release).replace("COMPONENT", component)
    if secret.path:
        yield from _at(values, secret.path.split("."))


def _at(values: Any, path: list[str]) -> Iterator[str]:
    """The values at a path; `*` is any key."""
    if not path:
        yield from values if isinstance(values, list) else filter(None, [values])
        return
    step, *rest = path
    for key, value in (values or {}).items():
        if re.fullmatch(step.replace("*", ".*"), key):
            yield from _at(value, rest)
