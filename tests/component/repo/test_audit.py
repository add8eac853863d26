"""The audit of installed packages says what it audited, and never takes silence for safety."""

import json
import sys
from pathlib import Path

import pytest
from tools import security
from tools.lock import OWN

PACKAGES = {"one": "1.0", "two": "2.0"}


def audited(folder: Path, says: str, code: int = 0, *, required: bool = False) -> security.Outcome:
    """The outcome where the auditor says this."""
    program = folder / "auditor"
    program.write_text(f"#!{sys.executable}\nimport sys\nprint({says!r})\nsys.exit({code})\n")
    program.chmod(0o700)
    return security.dependencies(PACKAGES, required=required, auditor=str(program))


def report(**vulnerabilities: list[str]) -> str:
    entries = [
        {"name": name, "version": "1", "vulns": [{"id": one} for one in result]}
        for name, result in vulnerabilities.items()
    ]
    return json.dumps({"dependencies": entries})


def test_packages_without_a_known_vulnerability_are_well_and_counted(tmp_path: Path) -> None:
    result = audited(tmp_path, report(one=[], two=[]), required=True)
    assert (result.well, result.looked) == (True, True)
    assert "2 of 2 packages" in result.summary


def test_a_vulnerability_fails(tmp_path: Path) -> None:
    result = audited(tmp_path, report(one=["PYSEC-1"], two=[]), code=1)
    assert not result.well
    assert result.defects == ["one 1: PYSEC-1"]


@pytest.mark.parametrize(("says", "code"), [("", 1), ("", 0), ("{}", 0), (report(one=[]), 0)])
@pytest.mark.parametrize("required", [False, True])
def test_what_was_not_audited_is_said_and_fails_where_it_is_required(
    tmp_path: Path, says: str, code: int, required: bool
) -> None:
    result = audited(tmp_path, says, code, required=required)
    assert result.well is not required
    assert not result.looked
    assert result.summary.startswith("NOT AUDITED")


def test_what_is_installed_is_audited_by_public_versions_and_ourselves_are_not() -> None:
    result = security.installed()
    assert "pytest" in result
    assert set(OWN).isdisjoint(result)
    assert not [version for version in result.values() if "+" in version]
