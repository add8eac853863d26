"""Our configurations of what receives telemetry, as they are deployed."""

import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "deploy" / "observability"
OURS = [
    path
    for part in ("collector", "tempo", "loki", "elastic", "filebeat", "kibana")
    for path in sorted((HERE / part).iterdir())
] + [HERE / "compose.yaml", *sorted((HERE / "grafana" / "provisioning").rglob("*.yaml"))]


def read(name: str) -> Any:
    text = (HERE / name).read_text("utf-8")
    return json.loads(text) if name.endswith(".json") else yaml.safe_load(text)


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

    found: Any = {}
    for name in names:
        found = merge(found, read(f"collector/{name}"))
    return found


CODE = [*ROOT.glob("libs/common/**/*.py"), *ROOT.glob("services/**/*.py")]
WHOLE = merged("collector.yaml", "elastic.yaml")
