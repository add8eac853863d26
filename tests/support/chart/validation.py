"""Objects against the schemas of Kubernetes and of custom resource definitions; unknown fields are errors."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema_rs
import yaml
from kubernetes_validate import utils

from tests.support.chart.rendering import Object
from tests.support.cluster.programs import custom_resources

# The newest three that the package has; the chart's kubeVersion allows older ones.
VERSIONS = utils.all_versions()[-3:]
# Every structural schema may describe more than its fields.
_NUMBER_OR_TEXT: Object = {"anyOf": [{"type": "integer"}, {"type": "string"}]}


def errors(one: Object, version: str) -> list[str]:
    """What is wrong with an object, for a version of Kubernetes."""
    validator = _custom(one["apiVersion"], one["kind"]) or _builtin(
        one["apiVersion"], one["kind"], version
    )
    place = f"{one['kind']} {one['metadata']['name']}"
    return [
        f"{place}: {error.instance_path}: {error.message}" for error in validator.iter_errors(one)
    ]


def is_custom(one: Object) -> bool:
    """Whether an object is of a custom resource definition."""
    return _custom(one["apiVersion"], one["kind"]) is not None


@cache
def _builtin(api_version: str, kind: str, version: str) -> jsonschema_rs.Draft202012Validator:
    folder = f"kubernetes-json-schema/v{version}-local-strict"
    group, _, number = api_version.rpartition("/")
    name = "-".join(filter(None, (kind.lower(), group.split(".")[0], number)))
    schema = utils.schema_contents(f"{folder}/{name}.json", version)
    registry = jsonschema_rs.Registry([("_definitions.json", _definitions(folder, version))])
    return jsonschema_rs.Draft202012Validator(schema, registry=registry)


@cache
def _definitions(folder: str, version: str) -> Any:
    return utils.schema_contents(f"{folder}/_definitions.json", version)


@cache
def _custom(api_version: str, kind: str) -> jsonschema_rs.Draft202012Validator | None:
    for definition in _all_definitions():
        spec = definition["spec"]
        for version in spec["versions"]:
            if (f"{spec['group']}/{version['name']}", spec["names"]["kind"]) == (api_version, kind):
                schema = _strict(version["schema"]["openAPIV3Schema"])
                return jsonschema_rs.Draft202012Validator(schema)
    return None


@cache
def _all_definitions() -> list[Object]:
    return [one for path in custom_resources() for one in _documents(path.read_text("utf-8"))]


def _documents(text: str) -> Iterator[Object]:
    yield from (one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one)


def _strict(node: Any, *, top: bool = True) -> Any:
    """A structural schema as the API server reads it, which refuses fields that it does not list."""
    if isinstance(node, list):
        return [_strict(item, top=False) for item in node]
    if not isinstance(node, dict):
        return node
    result = {key: _strict(value, top=False) for key, value in node.items()}
    if node.get("x-kubernetes-int-or-string") is True:
        result.pop("type", None)
        result |= _NUMBER_OR_TEXT
    listed = isinstance(node.get("properties"), dict) and node.get("type") == "object"
    if listed and not node.get("x-kubernetes-preserve-unknown-fields"):
        result.setdefault("additionalProperties", False)
    if top:
        result["properties"] |= {"metadata": {"type": "object"}}
        result["properties"] |= {key: {"type": "string"} for key in ("apiVersion", "kind")}
    return result
