"""What receives telemetry is configured as documented, and holds no secret."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.observability import elastic_options, loki_options, tempo_options, viewer_options
from tests.observability.collector_options import COMPONENTS, Collector
from tests.observability.deployed import HERE, OURS, SERVICES, TEMPLATE, read
from tests.observability.documented import Documented

COLLECTORS = ["collector.yaml", "loadbalancing.yaml"]


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("tempo/tempo.yaml", tempo_options.Tempo),
        ("loki/loki.yaml", loki_options.Loki),
        ("grafana/provisioning/datasources/rag.yaml", viewer_options.Datasources),
        ("grafana/provisioning/dashboards/rag.yaml", viewer_options.Providers),
        ("filebeat/filebeat.yml", elastic_options.Filebeat),
        ("elastic/lifecycle.json", elastic_options.Lifecycle),
        ("elastic/template.json", elastic_options.IndexTemplate),
        ("compose.yaml", viewer_options.Compose),
        *((f"collector/{name}", Collector) for name in [*COLLECTORS, "elastic.yaml"]),
    ],
)
def test_a_configuration_has_documented_options_alone(name: str, form: type[Documented]) -> None:
    form.model_validate(read(name))


@pytest.mark.parametrize("name", [*COLLECTORS, "elastic.yaml"])
def test_a_collectors_components_have_documented_options_alone(name: str) -> None:
    for kind in ("receivers", "processors", "exporters", "extensions"):
        for component, options in read(f"collector/{name}").get(kind, {}).items():
            COMPONENTS[f"{kind}.{component.split('/')[0]}"].model_validate(options)


@pytest.mark.parametrize("broken", [{"batch": {"timeout": "2s", "sizes": 1}}, {"nobatch": {}}])
def test_an_option_or_component_that_is_not_documented_is_refused(broken: dict[str, Any]) -> None:
    [(name, options)] = broken.items()
    with pytest.raises((ValueError, KeyError)):
        COMPONENTS[f"processors.{name}"].model_validate(options)


def test_the_setup_script_is_a_script() -> None:
    subprocess.run(["/bin/sh", "-n", str(HERE / "elastic" / "setup.sh")], check=True, timeout=10)
    assert os.access(HERE / "elastic" / "setup.sh", os.X_OK)


def test_the_setup_script_puts_each_file_there_is() -> None:
    script = (HERE / "elastic" / "setup.sh").read_text("utf-8")
    put = dict(re.findall(r"^put (\S+) (\S+)$", script, re.MULTILINE))
    assert set(put.values()) == {path.name for path in (HERE / "elastic").glob("*.json")}
    assert f"_ilm/policy/{TEMPLATE['template']['settings']['index']['lifecycle']['name']}" in put
    assert (
        f"_ingest/pipeline/{read('filebeat/filebeat.yml')['output.elasticsearch']['pipeline']}"
        in put
    )


def variables() -> set[str]:
    texts = "".join(path.read_text("utf-8") for path in OURS if path.suffix != ".sh")
    script = (HERE / "elastic" / "setup.sh").read_text("utf-8")
    put_in = re.findall(r"(?<!\$)\$\{(?:env:)?([A-Z_]+)(?::[^}]*)?\}", texts)
    return {*put_in, *re.findall(r"\$\{?([A-Z][A-Z_]+)", script)}


def test_every_variable_is_in_the_readme() -> None:
    readme = (HERE / "README.md").read_text("utf-8")
    assert len(variables()) > 8
    assert sorted(name for name in variables() if f"`{name}`" not in readme) == []


def test_every_port_that_is_opened_is_in_the_readme() -> None:
    readme = (HERE / "README.md").read_text("utf-8")
    opened = {
        int(entry.rpartition(":")[2])
        for service in SERVICES.values()
        for entry in service.get("ports", [])
    }
    assert sorted(number for number in opened if str(number) not in readme) == []


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(HERE)))
def test_no_configuration_holds_a_secret(path: Path) -> None:
    given = re.compile(
        r"(?i)(?:passw(?:or)?d|secret|token|api_?key)[\"']?\s?[:=]\s*[\"']?[^\s\"'$\[{]"
    )
    lines = path.read_text("utf-8").splitlines()
    assert [text for text in lines if given.search(re.sub(r"\$\{[^}]*\}", "${}", text))] == []
