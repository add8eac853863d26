"""Write helm/rag/values.schema.json: its hand-written part and the settings classes; --check compares."""

import json
import sys
from typing import Any

import yaml

from tools import ROOT
from tools.chart.settings import (
    Schema,
    canary_schema,
    edge_schema,
    secrets_schema,
    settings_schema,
)
from tools.generated import write_or_check
from tools.services import SERVICES

WRITTEN = ROOT / "tools" / "chart" / "values.schema.yaml"
VALUES = ROOT / "helm" / "rag" / "values.yaml"
SCHEMA = ROOT / "helm" / "rag" / "values.schema.json"
# Objects of which an operator may remove what values.yaml sets.
_OPTIONAL = ("settings", "secrets", "env", "qdrant")


def main() -> int:
    text = json.dumps(values_schema(), indent=1, ensure_ascii=False)
    return write_or_check({SCHEMA: text + "\n"}, "python -m tools.chart.schema")


def values_schema() -> Schema:
    """The schema of the chart's values."""
    schema: Schema = yaml.safe_load(WRITTEN.read_text("utf-8"))
    definitions = schema["$defs"]
    for service in SERVICES:
        definitions[f"{service}Settings"] = settings_schema(service)
        definitions[f"{service}Secrets"] = secrets_schema(service)
    definitions["edgeSettings"] = edge_schema()
    definitions["canarySettings"] = canary_schema()
    whole: Schema = extended(schema, definitions)
    close(whole)
    require(whole, default_values(), whole["$defs"])
    return whole


def default_values() -> dict[str, Any]:
    """The content of values.yaml."""
    values: dict[str, Any] = yaml.safe_load(VALUES.read_text("utf-8"))
    return values


def extended(node: Any, definitions: Schema) -> Any:
    """A copy in which an object that refers to a definition and adds properties has those of both."""
    if isinstance(node, list):
        return [extended(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node and "properties" in node:
        own = {key: value for key, value in node.items() if key != "$ref"}
        node = merged(extended(definition(node["$ref"], definitions), definitions), own)
    return {key: extended(value, definitions) for key, value in node.items()}


def merged(base: Schema, addition: Schema) -> Schema:
    """Both objects, at all depths; the addition takes precedence."""
    result = dict(base)
    for key, value in addition.items():
        old = result.get(key)
        nested = isinstance(old, dict) and isinstance(value, dict)
        result[key] = merged(old or {}, value) if nested else value
    return result


def definition(reference: str, definitions: Schema) -> Schema:
    found: Schema = definitions[reference.removeprefix("#/$defs/")]
    return found


def close(node: Any) -> None:
    """Refuse properties that an object does not list, at all depths."""
    children = node.values() if isinstance(node, dict) else node
    for child in children:
        if isinstance(child, dict | list):
            close(child)
    if isinstance(node, dict) and node.get("type") == "object" and "properties" in node:
        node.setdefault("additionalProperties", False)


def require(node: Schema, values: Any, definitions: Schema) -> None:
    """Require in each object what its default has: null would remove it."""
    if "$ref" in node:
        node = definition(node["$ref"], definitions)
    properties = node.get("properties", {})
    if not properties or not isinstance(values, dict) or not values:
        return
    node["required"] = sorted(set(values) | set(node.get("required", ())))
    for name, value in values.items():
        if name not in _OPTIONAL:
            require(properties[name], value, definitions)


if __name__ == "__main__":
    sys.exit(main())
