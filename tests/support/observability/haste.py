"""Our rules and routes with every wait divided by one number, and how soon a rule promises to fire."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rag_local.backends.alertmanager import TEMPLATE
from tests.support.observability.fixtures import RULES

_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION = r"(?:\d+(?:ms|[smhdw]))+"
_KEYS = "for|keep_firing_for|interval|group_wait|group_interval|repeat_interval|resolve_timeout"
# Where a file says how long: behind a key that asks for it, in a range selector, behind `offset`.
WAIT = re.compile(
    rf"(?P<before>^[ -]*\b(?:{_KEYS}): |\[(?:{_DURATION}:)?|\boffset )(?P<wait>{_DURATION})(?![\w-])",
    re.MULTILINE,
)
# Windows that smooth: what they see grows into its full size over the whole of them.
_SMOOTHED = re.compile(rf"\b(?:rate|increase)\(.*?\[({_DURATION})\]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Promise:
    """Seconds from the harm to the firing (`for` and the longest window), then to the message."""

    firing: float
    telling: float


def milliseconds(duration: str) -> int:
    """What a duration as Prometheus writes it comes to."""
    parts = re.findall(r"(\d+)(ms|[smhdw])", duration)
    return sum(int(number) * _MILLISECONDS[unit] for number, unit in parts)


def hastened(text: str, factor: float) -> str:
    """The file with each of its waits divided by the factor, and nothing else changed."""

    def shorter(found: re.Match[str]) -> str:
        wait = round(milliseconds(found["wait"]) / factor)
        return f"{found['before']}{max(wait, 1)}ms"

    return WAIT.sub(shorter, text)


def written(folder: Path, factor: float) -> tuple[list[Path], Path]:
    """Copies of all rules and of Alertmanager's template below the folder; a factor of 1 copies none."""
    if factor == 1:
        return list(RULES), TEMPLATE
    folder.mkdir(parents=True)
    copies = [folder / path.name for path in (*RULES, TEMPLATE)]
    for path, copy in zip((*RULES, TEMPLATE), copies, strict=True):
        copy.write_text(hastened(path.read_text("utf-8"), factor), "utf-8")
    return copies[:-1], copies[-1]


def promise(alert: str, rules: Iterable[Path], template: Path) -> Promise:
    """By the rules and the routes of these files; the alert must be among them, once."""
    [rule] = [one for one in _rules(rules) if one.get("alert") == alert]
    windows = [milliseconds(window) for window in _SMOOTHED.findall(rule["expr"])]
    firing = milliseconds(rule.get("for", "0s")) + max(windows, default=0)
    telling = milliseconds(_route(template, rule["labels"]["severity"])["group_wait"])
    return Promise(firing / 1000, telling / 1000)


def _rules(paths: Iterable[Path]) -> list[dict[str, Any]]:
    files = [yaml.safe_load(path.read_text("utf-8")) for path in paths]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def _route(template: Path, severity: str) -> dict[str, Any]:
    """Where alerts of that severity go, with what the route above it says and it does not."""
    root: dict[str, Any] = yaml.safe_load(template.read_text("utf-8"))["route"]
    own = [one for one in root["routes"] if f'severity="{severity}"' in one["matchers"]]
    return {**root, **(own[0] if own else {})}
