"""The folders are what pyproject and the import contracts say they are."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if path.is_dir())
PACKAGES = sorted(
    str(path.parent.relative_to(ROOT))
    for top in ("libs", "services")
    for path in (ROOT / top).glob("*/*/__init__.py")
)


def test_every_package_is_built_into_the_distribution() -> None:
    assert sorted(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == PACKAGES


def test_every_package_of_ours_is_under_the_import_contracts() -> None:
    names = {Path(package).name for package in PACKAGES} - {"rag"}
    assert set(PROJECT["tool"]["importlinter"]["root_packages"]) == names


def test_every_package_is_under_the_type_checker() -> None:
    checked = [Path(entry) for entry in PROJECT["tool"]["mypy"]["files"]]
    assert not [p for p in PACKAGES if p != "libs/protos/rag" and not covered(Path(p), checked)]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("name", ["__init__.py", "__main__.py", "app.py", "settings.py", "core.py"])
def test_every_service_has_the_same_files(service: str, name: str) -> None:
    assert (ROOT / "services" / service / f"rag_{service}" / name).is_file()


def test_every_service_has_an_extra_of_its_own() -> None:
    assert set(SERVICES) <= set(PROJECT["project"]["optional-dependencies"])


@pytest.mark.parametrize("package", [p for p in PACKAGES if p != "libs/protos/rag"])
def test_every_module_opens_with_what_it_is_for(package: str) -> None:
    modules = sorted((ROOT / package).rglob("*.py"))
    assert not [m for m in modules if not ast.get_docstring(ast.parse(m.read_text("utf-8")))]


def covered(package: Path, checked: list[Path]) -> bool:
    return any(package.is_relative_to(entry) for entry in checked)
