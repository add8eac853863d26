"""What receives telemetry has configurations that its programs accept, and they hold no secret."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.observability.deployed import HERE, OURS, SERVICES, TEMPLATE, read
from tests.support.observability.stack import LOKI, OTELCOL, TEMPO
from tests.support.parts import server

EXPANDED = "-config.expand-env=true"


@pytest.mark.parametrize(
    "path",
    [path for path in OURS if path.suffix != ".sh"],
    ids=lambda path: str(path.relative_to(HERE)),
)
def test_a_configuration_is_well_formed(path: Path) -> None:
    text = path.read_text("utf-8")
    for document in text.splitlines() if path.suffix == ".ndjson" else [text]:
        assert json.loads(document) if "json" in path.suffix else yaml.safe_load(document)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_container_is_pinned_confined_and_bounded(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[a-z0-9./-]+:v?\d+\.\d+\.\d+", service["image"])
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["cpus"] > 0
    assert service["logging"]["options"]["max-size"]


def test_log_lines_are_deleted_from_elasticsearch_after_two_weeks() -> None:
    phases = read("elastic/lifecycle.json")["policy"]["phases"]
    assert phases["hot"]["actions"]["rollover"]["max_age"] == "1d"
    assert (phases["delete"]["min_age"], phases["delete"]["actions"]) == ("14d", {"delete": {}})


def asked(program: tuple[str, str], *arguments: str) -> tuple[int, str]:
    """What a program says of a configuration: its exit code, and what it wrote."""
    done = subprocess.run(
        [server(*program), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        (OTELCOL, ["validate", f"--config={HERE}/collector/collector.yaml"]),
        (OTELCOL, ["validate", f"--config={HERE}/collector/loadbalancing.yaml"]),
        (TEMPO, [f"-config.file={HERE}/tempo/tempo.yaml", EXPANDED, "-config.verify=true"]),
        (LOKI, [f"-config.file={HERE}/loki/loki.yaml", EXPANDED, "-verify-config"]),
    ],
    ids=["collector", "loadbalancing", "tempo", "loki"],
)
def test_a_program_accepts_its_configuration_without_a_word(
    program: tuple[str, str], arguments: list[str]
) -> None:
    assert asked(program, *arguments) == (0, "")


def test_with_elastic_the_collector_misses_nothing_but_its_exporter() -> None:
    # The collector of the tests is built without this exporter; it names all that it finds wrong.
    files = ("collector.yaml", "elastic.yaml")
    code, output = asked(OTELCOL, "validate", *(f"--config={HERE}/collector/{n}" for n in files))
    unknown = re.findall(r"^'.*$", output.partition("\n20")[0], re.MULTILINE)
    assert code == 1
    assert [line.partition(" (")[0] for line in unknown] == [
        """'exporters' unknown type: "elasticsearch" for id: "elasticsearch\""""
    ]


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


def tables() -> tuple[set[str], set[str]]:
    """The variables that the README lists as passed on by compose, and those for running by hand."""
    readme = (HERE / "README.md").read_text("utf-8")
    section = readme.partition("## Settings of the programs here")[2].partition("\n## ")[0]
    under_compose, by_hand = section.split("| --- | --- | --- |")[1:]
    rows = [re.findall(r"^\|([^|]*)\|", part, re.MULTILINE) for part in (under_compose, by_hand)]
    passed, others = (set(re.findall(r"`([A-Z_]+)`", " ".join(part))) for part in rows)
    return passed, others


def defaults(text: str) -> dict[str, str]:
    """Each variable of a configuration that has a default, and that default."""
    return dict(re.findall(r"(?<!\$)\$\{(?:env:)?([A-Z_]+):-?([^}]*)\}", text))


def test_compose_passes_on_what_the_readme_says_and_the_rest_is_listed_apart() -> None:
    passed, by_hand = tables()
    acquired = set(defaults((HERE / "compose.yaml").read_text("utf-8")))
    assert passed == acquired
    assert by_hand == variables() - acquired


# A container and the files that its program reads.
READ_BY = {
    "collector": ("collector/collector.yaml", "collector/elastic.yaml"),
    "tempo": ("tempo/tempo.yaml",),
    "elastic-setup": ("elastic/setup.sh",),
    "filebeat": ("filebeat/filebeat.yml",),
    "alertmanager": ("alertmanager/alertmanager.yml.tmpl",),
}


@pytest.mark.parametrize("service", READ_BY)
def test_a_container_has_the_variables_that_its_files_read_with_the_same_defaults(
    service: str,
) -> None:
    texts = "".join((HERE / name).read_text("utf-8") for name in READ_BY[service])
    inputs: dict[str, str] = SERVICES[service]["environment"]
    ours = {name: text for name, text in inputs.items() if "${" in text}
    assert len(ours) > 0
    for name, text in ours.items():
        assert name in texts, f"no file of {service} reads {name}"
        ((same, default),) = defaults(text).items()
        assert same == name
        if name in defaults(texts) and not texts.startswith("#!"):
            assert default == defaults(texts)[name]
    # All that is meant for compose and read by the container is given to it.
    passed, _ = tables()
    assert {name for name in passed if name in re.findall(r"[A-Z_]{5,}", texts)} - {
        "RAG_LOGS"  # The folder is mounted.
    } == set(ours)


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
    inputs = re.compile(
        r"(?i)(?:passw(?:or)?d|secret|token|api_?key)[\"']?\s?[:=]\s*[\"']?[^\s\"'$\[{]"
    )
    lines = path.read_text("utf-8").splitlines()
    assert [text for text in lines if inputs.search(re.sub(r"\$\{[^}]*\}", "${}", text))] == []
