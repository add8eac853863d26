"""What the README says of commands and ports is what there is."""

import re
from pathlib import Path

from rag_local import monitoring, platform
from rag_local.service_processes import SERVICES

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text("utf-8")


def test_the_ports_of_the_readme_are_those_that_are_listened_on() -> None:
    table = README.partition("| part | gRPC | health |")[2].partition("\n\n")[0]
    rows = {row.split("|")[1].strip(): row for row in table.splitlines()[2:]}
    for spec in SERVICES:
        ports = [cell.strip() for cell in rows.pop(spec.name).split("|")[2:5]]
        assert ports == [str(spec.port), str(spec.health_port), str(spec.http_port)]
    others = {int(port) for row in rows.values() for port in re.findall(r"\b\d{4,5}\b", row)}
    assert others == {
        *monitoring.TRACES_PORTS,
        monitoring.PROMETHEUS_PORT,
        monitoring.ALERTMANAGER_PORT,
        monitoring.EDGE_METRICS_PORT,
        platform.EDGE_PORT,
        platform.VAULT_PORT,
    }


def test_every_command_of_make_that_a_page_names_is_one() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "deploy").rglob("*.md")]
    named = {
        name
        for page in pages
        for name in re.findall(r"(?:^ {4}|`)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE)
    }
    assert {"run", "test", "test-long", "models", "llama", "clean"} <= named
    assert named - targets == set()
