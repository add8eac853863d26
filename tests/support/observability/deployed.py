"""Our configurations of what receives telemetry, as they are deployed."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
HERE = ROOT / "deploy" / "observability"
OURS = [
    path
    for part in ("collector", "tempo", "loki", "elastic", "filebeat", "kibana")
    for path in sorted((HERE / part).iterdir())
] + [HERE / "compose.yaml", *sorted((HERE / "grafana" / "provisioning").rglob("*.yaml"))]


def read(name: str) -> Any:
    text = (HERE / name).read_text("utf-8")
    return json.loads(text) if name.endswith(".json") else yaml.safe_load(text)


def filled(text: str) -> str:
    """A configuration's text with the defaults of its variables, as it is read where none is set."""
    return re.sub(r"\$\{(?:env:)?[A-Z_]+:-([^}]*)\}", r"\1", text)


def by_default(name: str) -> Any:
    """A configuration as its program reads it where no variable is set."""
    return yaml.safe_load(filled((HERE / name).read_text("utf-8")))


COMPOSE = read("compose.yaml")
SERVICES: dict[str, Any] = COMPOSE["services"]
PIPELINE = read("elastic/pipeline.json")
TEMPLATE = read("elastic/template.json")
SAVED = [
    json.loads(line) for line in (HERE / "kibana" / "rag.ndjson").read_text("utf-8").splitlines()
]


def merged(*names: str) -> Any:
    """Configurations as the collector merges them: maps by key, all else the last one's."""

    def merge(one: Any, other: Any) -> Any:
        if not (isinstance(one, dict) and isinstance(other, dict)):
            return other
        return one | {
            key: merge(one[key], value) if key in one else value for key, value in other.items()
        }

    result: Any = {}
    for name in names:
        result = merge(result, read(f"collector/{name}"))
    return result


CODE = [*ROOT.glob("libs/common/**/*.py"), *ROOT.glob("services/**/*.py")]
WHOLE = merged("collector.yaml", "elastic.yaml")
