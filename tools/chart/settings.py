"""The settings of the components as JSON schemas, from their settings classes."""

import re
from typing import Any

from pydantic import TypeAdapter

from rag_delivery.config import CHECKS, CanaryConfig
from rag_edge.edge_config import EdgeConfig
from tools import ROOT
from tools.chart.analysis import MEANINGS, with_calls
from tools.chart.decided import decided
from tools.services import SERVICES

Schema = dict[str, Any]

EDGE_PAGE = ROOT / "deploy" / "envoy" / "README.md"

_ALTERNATIVES = re.compile(r"\^\(([a-z_|]+)\)\$")
_DURATION = re.compile(r"\d+(\.\d+)?s")
_REFERENCE: Schema = {"$ref": "#/$defs/secretReference"}


def settings_schema(service: str) -> Schema:
    """The settings of a service that an operator may set."""
    return closed({name: simple(field) for name, field in _open(service, secret=False).items()})


def secrets_schema(service: str) -> Schema:
    """References to the secret settings of a service."""
    secrets = _open(service, secret=True).items()
    return closed({name: _REFERENCE | described(field) for name, field in secrets})


def edge_schema() -> Schema:
    """The settings of the edge that an operator may set."""
    whole = TypeAdapter(EdgeConfig).json_schema()
    meanings = edge_meanings()
    fields = {
        name: bounded(simple(field) | {"description": meanings[name]})
        for name, field in whole["properties"].items()
        if name not in decided("edge")
    }
    provider = {name: simple(field) for name, field in _provider(whole).items()}
    required = whole["$defs"]["Provider"]["required"]
    fields["providers"]["items"] = closed(provider) | {"required": required}
    return closed(fields)


def canary_schema() -> Schema:
    """The settings of a canary's analysis that an operator may set."""
    whole = TypeAdapter(CanaryConfig).json_schema()
    fields = {
        name: simple(field) | {"description": MEANINGS[name]}
        for name, field in whole["properties"].items()
        if name not in decided("canary")
    }
    step = whole["$defs"]["Step"]
    properties = {name: simple(field) for name, field in step["properties"].items()}
    items = closed(properties) | {"required": step["required"]}
    fields["steps"] = with_calls(fields["steps"] | {"items": items})
    fields["must_pass"]["items"] = {"enum": list(CHECKS)}
    return closed(fields)


def edge_meanings() -> dict[str, str]:
    """What the settings of the edge mean, by name, from the table of its page."""
    rows = re.findall(r"^\| `([a-z_]+)` \| [^|]+ \| (.+) \|$", EDGE_PAGE.read_text("utf-8"), re.M)
    return {name: f"{text[0].upper()}{text[1:]}." for name, text in rows}


def closed(properties: Schema) -> Schema:
    """An object with these properties and no others."""
    return {"type": "object", "additionalProperties": False, "properties": properties}


def simple(field: Schema) -> Schema:
    """A field of pydantic's schema: without titles and None, with names instead of a pattern of them."""
    known = {key: field[key] for key in field if key not in ("anyOf", "title", "format")}
    for choice in field.get("anyOf", ()):
        if choice["type"] != "null":
            known |= simple(choice)
    if known.get("default", "") is None:
        del known["default"]
    if names := _ALTERNATIVES.fullmatch(known.get("pattern", "")):
        del known["pattern"]
        known["enum"] = names[1].split("|")
    return known


def bounded(field: Schema) -> Schema:
    """A field of the edge with what its class does not say: no negative numbers, and durations."""
    default = field.get("default")
    if field["type"] in ("integer", "number"):
        return {"minimum": 0} | field
    if isinstance(default, str) and _DURATION.fullmatch(default):
        return field | {"pattern": r"^[0-9]+(\.[0-9]+)?s$"}
    return field


def described(field: Schema) -> Schema:
    return {"description": field["description"]}


def _open(service: str, *, secret: bool) -> Schema:
    """The fields that the chart does not decide, either the secret ones or the others."""
    fields = SERVICES[service].model_json_schema()["properties"]
    return {
        name: field
        for name, field in fields.items()
        if name not in decided(service) and (field.get("format") == "password") == secret
    }


def _provider(whole: Schema) -> Schema:
    fields: Schema = whole["$defs"]["Provider"]["properties"]
    return fields
