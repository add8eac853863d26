"""Write docs/chart.md: all values of the chart and the Secrets that it needs; --check only compares.

Fails if a value has no description, neither in the schema nor as a comment `# --` in values.yaml.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tools import ROOT
from tools.chart.decided import CANARY, EDGE, OWN, SERVICE
from tools.chart.schema import VALUES, default_values, values_schema
from tools.chart.secrets import SECRETS
from tools.chart.settings import Schema
from tools.generated import write_or_check
from tools.services import SERVICES

PAGE = ROOT / "docs" / "chart.md"
_PREFACE = ROOT / "tools" / "chart" / "preface.md"
# Objects of settings, which have tables of their own, and those that are passed on as they are.
_SETTINGS = re.compile(r"#/\$defs/(\w+)(Settings|Secrets)")
# Settings that are not below `components`.
_PLACES = {"edge": "edge.settings", "canary": "canary.analysis"}
# Keys that stand for themselves in the table of Secrets, as those with a dot do.
_KEYS = ("token", "api_key")
_COMMENT = re.compile(r"^( *)# -- (.+)$")
_KEY = re.compile(r"^( *)([A-Za-z]\w*):")


class Undocumented(Exception):
    """Values without a description; the message names them."""


@dataclass(frozen=True)
class Row:
    """A value: its path, what it is by default, and what it means."""

    path: str
    default: str
    meaning: str


def main() -> int:
    try:
        return write_or_check({PAGE: "\n".join(page()) + "\n"}, "make settings")
    except Undocumented as error:
        sys.stderr.write(f"{error}\n")
        return 1


def page() -> Iterator[str]:
    schema = values_schema()
    yield _PREFACE.read_text("utf-8").rstrip()
    yield from ["", "## Values", ""]
    rows = list(value_rows(schema, default_values()))
    check(rows)
    yield from table(rows)
    yield from ["", "## Settings of every service", ""]
    yield "Below `components.NAME.settings`; the defaults are those of the program, but the chart sets"
    yield "`drain_delay` to 5, `max_connection_age` to 60, `log_format` to json and `reflection` to false."
    yield ""
    yield from table(setting_rows(common_settings(schema)))
    for component in (*SERVICES, *_PLACES):
        yield from ["", f"## Settings of {component}", ""]
        yield from component_settings(schema, component)
    yield from ["", "## Secrets that must exist", ""]
    yield from secrets()
    yield from ["", "## Settings that the chart decides", ""]
    yield from decisions()


def value_rows(schema: Schema, defaults: dict[str, Any]) -> Iterator[Row]:
    """All values that are no settings, in the order of the schema."""
    comments = dict(comment_paths(VALUES.read_text("utf-8").splitlines()))
    yield from _rows(schema, schema["$defs"], (), defaults, comments)


def _rows(
    node: Schema, definitions: Schema, path: tuple[str, ...], default: Any, comments: dict[str, str]
) -> Iterator[Row]:
    if path and (is_settings(node) or not resolved(node, definitions).get("properties")):
        dotted = ".".join(path)
        meaning = node.get("description") or comments.get(dotted, "")
        yield Row(dotted, shown(default), meaning)
        return
    for name, child in resolved(node, definitions)["properties"].items():
        value = default.get(name) if isinstance(default, dict) else None
        yield from _rows(child, definitions, (*path, name), value, comments)


def comment_paths(lines: list[str]) -> Iterator[tuple[str, str]]:
    """The paths of the values that a comment `# --` stands above, with it."""
    path: list[str] = []
    comment = ""
    for line in lines:
        if text := _COMMENT.match(line):
            comment = text[2]
        elif key := _KEY.match(line):
            path = [*path[: len(key[1]) // 2], key[2]]
            if comment:
                yield ".".join(path), comment
            comment = ""


def resolved(node: Schema, definitions: Schema) -> Schema:
    """The definition that a node refers to, or the node itself."""
    found: Schema = definitions[node["$ref"].split("/")[-1]] if "$ref" in node else node
    return found


def is_settings(node: Schema) -> bool:
    return bool(_SETTINGS.fullmatch(node.get("$ref", "")))


def check(rows: list[Row]) -> None:
    """Raise Undocumented if a value has no description."""
    missing = [row.path for row in rows if not row.meaning]
    if missing:
        raise Undocumented(f"without a description in the chart's schema: {', '.join(missing)}")


def table(rows: list[Row]) -> Iterator[str]:
    yield "| value | default | meaning |"
    yield "| --- | --- | --- |"
    for row in rows:
        yield f"| `{row.path}` | {row.default} | {cell(row.meaning)} |"


def component_settings(schema: Schema, component: str) -> Iterator[str]:
    """The settings and secrets of a component that can be set, without those of every service."""
    place = _PLACES.get(component, f"components.{component}.settings")
    secrets = schema["$defs"].get(f"{component}Secrets", {}).get("properties", {})
    yield f"Below `{place}`{'; secrets below `secrets`' if secrets else ''}."
    yield ""
    common = common_settings(schema)
    fields = schema["$defs"][f"{component}Settings"]["properties"]
    own = {name: one for name, one in fields.items() if common.get(name) != one}
    secret = [Row(name, "secret", one["description"]) for name, one in secrets.items()]
    yield from table([*setting_rows(own), *secret])


def common_settings(schema: Schema) -> Schema:
    """The settings that are the same in every service."""
    first, *others = (schema["$defs"][f"{service}Settings"]["properties"] for service in SERVICES)
    return {
        name: one for name, one in first.items() if all(other.get(name) == one for other in others)
    }


def setting_rows(fields: Schema) -> list[Row]:
    return [
        Row(name, shown(one.get("default")), one["description"]) for name, one in fields.items()
    ]


def secrets() -> Iterator[str]:
    yield "The chart makes none. Capitals are parts of a name; a path is the value that names the Secret."
    yield ""
    yield "| kind | name | keys | when |"
    yield "| --- | --- | --- | --- |"
    for secret in SECRETS:
        keys = ", ".join(f"`{key}`" if "." in key or key in _KEYS else key for key in secret.keys)
        yield f"| {secret.kind} | `{secret.name or secret.path}` | {keys} | {secret.needed} |"


def decisions() -> Iterator[str]:
    yield "These settings of the programs are not values, but follow from others or from the pod's form."
    yield ""
    yield "| component | setting | decided by |"
    yield "| --- | --- | --- |"
    for component, reasons in {
        "every service": SERVICE,
        **OWN,
        "edge": EDGE,
        "canary": CANARY,
    }.items():
        for name, reason in reasons.items():
            yield f"| {component} | `{name}` | {reason} |"


def shown(default: Any) -> str:
    if default in (None, "", [], {}):
        return "none"
    text = default if isinstance(default, str) else json.dumps(default, ensure_ascii=False)
    return f"`{cell(text)}`"


def cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
