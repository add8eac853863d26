"""Dashboards as files: current, known to Grafana, told apart, explained, and of metrics that there are."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard
from tools.dashboards.__main__ import BOARDS, FOLDER

ROOT = Path(__file__).resolve().parents[3]
RULES = ROOT / "deploy" / "observability" / "prometheus" / "rules"
PAGES = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
NAMES = sorted(PAGES)

BUILT_IN = re.compile(r"\$\{?(__\w+)")
VARIABLE = re.compile(r"\$\{?([a-z]\w*)")
QUOTED = re.compile(r'"[^"]*"')
METRIC = re.compile(r"\brag_[a-z0-9_]+")


def panels(name: str) -> list[dict[str, Any]]:
    """The panels of a dashboard, without the headings."""
    return [panel for panel in PAGES[name]["panels"] if panel["type"] != "row"]


def queries(panel: dict[str, Any]) -> list[str]:
    """What a panel asks Prometheus."""
    requested = [t for t in panel["targets"] if t["datasource"]["type"] == "prometheus"]
    return [target["expr"] for target in requested]


def test_the_files_are_what_the_code_says() -> None:
    assert [board.uid for board in BOARDS] == [PAGES[board.uid]["uid"] for board in BOARDS]


@pytest.mark.parametrize("name", NAMES)
def test_grafana_s_own_model_knows_every_field(name: str) -> None:
    """What the model does not know it drops, or does not read at all."""
    register_default_plugins()
    read = Dashboard.from_json(PAGES[name])
    assert not list(dropped(PAGES[name], json.loads(JSONEncoder().encode(read))))


def dropped(told: Any, read: Any, path: str = "") -> Iterator[str]:
    """Paths of what was told and not read; the model may add its defaults."""
    if isinstance(told, dict) and isinstance(read, dict):
        for key, value in told.items():
            yield from dropped(value, read.get(key), f"{path}/{key}")
    elif isinstance(told, list) and isinstance(read, list) and len(told) == len(read):
        for place, value in enumerate(told):
            yield from dropped(value, read[place], f"{path}/{place}")
    elif told != read:
        yield path


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_told_apart_and_places_do_not_overlap(name: str) -> None:
    result = PAGES[name]["panels"]
    assert len({panel["id"] for panel in result}) == len(result)
    cells = [cell for panel in result for cell in covered(**panel["gridPos"])]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def covered(x: int, y: int, w: int, h: int) -> Iterable[tuple[int, int]]:
    return ((column, row) for column in range(x, x + w) for row in range(y, y + h))


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_says_what_one_reads_from_it(name: str) -> None:
    assert not [panel["title"] for panel in panels(name) if len(panel["description"]) < 20]


@pytest.mark.parametrize("name", NAMES)
def test_every_unit_is_one_that_grafana_knows(name: str) -> None:
    measured = [
        panel["fieldConfig"]["defaults"] for panel in panels(name) if "fieldConfig" in panel
    ]
    own = {one["unit"] for one in measured if not one["unit"].startswith("suffix:")}
    assert own
    assert own <= {value for value in vars(units).values() if isinstance(value, str)}


@pytest.mark.parametrize("name", NAMES)
def test_every_runbook_that_is_named_exists(name: str) -> None:
    named = re.findall(r"docs/runbooks/\w+\.md", json.dumps(PAGES[name]))
    assert named
    assert not sorted({page for page in named if not ROOT.joinpath(page).is_file()})


def test_every_alert_is_on_some_panel() -> None:
    rules = "".join(path.read_text("utf-8") for path in RULES.glob("*.yaml"))
    alerts = set(re.findall(r"- alert: (\w+)", rules))
    # Of Prometheus and Alertmanager themselves, which these dashboards are not about.
    own = {"RagRulesFailing", "RagAlertsNotDelivered"}
    assert alerts >= own
    named = set(re.findall(r"docs/runbooks/(\w+)\.md", json.dumps(list(PAGES.values()))))
    assert named == alerts - own


@pytest.mark.parametrize("name", NAMES)
def test_every_variable_that_is_used_is_there(name: str) -> None:
    there = {variable["name"] for variable in PAGES[name]["templating"]["list"]}
    reported = json.dumps([panel["targets"] for panel in panels(name)])
    assert set(VARIABLE.findall(reported)) <= there
    assert set(BUILT_IN.findall(reported)) <= {"__rate_interval"}


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_dashboards_that_there_are(name: str) -> None:
    leads = set(re.findall(r'"/d/([\w-]+)', json.dumps(PAGES[name])))
    assert leads <= set(PAGES)
    assert PAGES[name]["links"][0]["tags"] == PAGES[name]["tags"] == ["rag"]


@pytest.mark.parametrize("name", NAMES)
def test_histograms_of_the_services_show_their_exemplars(name: str) -> None:
    targets = [target for panel in panels(name) for target in panel["targets"]]
    ranges = [t for t in targets if t.get("range") and re.search(r"rag_\w+_bucket", t["expr"])]
    assert all(target["exemplar"] for target in ranges)


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_of_ours_is_one_that_the_code_declares(name: str) -> None:
    page = ROOT.joinpath("docs", "metrics.md").read_text("utf-8")
    declared = set(re.findall(r"`(rag_[a-z0-9_]+)", page))
    declared |= {f"{metric}_{part}" for metric in declared for part in ("bucket", "sum", "count")}
    requested = {m for panel in panels(name) for q in queries(panel) for m in metrics(q)}
    assert not requested - declared


def metrics(query: str) -> list[str]:
    return METRIC.findall(QUOTED.sub("", query))
