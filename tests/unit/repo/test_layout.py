"""The folders are what pyproject and the import contracts say they are."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if path.is_dir())
PACKAGES = sorted(
    str(path.parent.relative_to(ROOT))
    for top in ("libs", "services")
    for path in (ROOT / top).glob("*/*/__init__.py")
)


def test_every_package_is_built_into_one_distribution() -> None:
    wheels = {".": PROJECT} | {
        str(path.parent.relative_to(ROOT)): tomllib.loads(path.read_text("utf-8"))
        for path in (ROOT / "libs").glob("*/pyproject.toml")
    }
    built = []
    for folder, project in wheels.items():
        wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
        hook = wheel.get("hooks", {}).get("custom", {})
        sources = [*wheel["packages"], *hook.get("packages", {})]
        built += [
            (ROOT / folder / source).resolve().relative_to(ROOT).as_posix() for source in sources
        ]
    assert sorted(built) == PACKAGES


def test_of_the_gateway_only_api_knows_the_public_messages() -> None:
    gateway = ROOT / "services" / "gateway" / "rag_gateway"
    knows = {
        path.relative_to(gateway).parts[0]
        for path in gateway.rglob("*.py")
        if re.search(r"^\s*from rag\.gateway", path.read_text("utf-8"), re.MULTILINE)
    }
    assert knows == {"api", "app.py"}


def test_every_package_of_ours_is_under_the_import_contracts() -> None:
    names = {Path(package).name for package in PACKAGES} - {"rag"}
    assert set(PROJECT["tool"]["importlinter"]["root_packages"]) == names


def test_every_package_is_under_the_type_checker() -> None:
    checked = [Path(entry) for entry in PROJECT["tool"]["mypy"]["files"]]
    assert not [p for p in PACKAGES if p != "libs/protos/rag" and not covered(Path(p), checked)]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "name", ["__init__.py", "__main__.py", "app.py", "settings.py", "api/__init__.py"]
)
def test_every_service_has_the_same_files(service: str, name: str) -> None:
    assert (ROOT / "services" / service / f"rag_{service}" / name).is_file()


def test_every_service_has_an_extra_of_its_own() -> None:
    assert set(SERVICES) <= set(PROJECT["project"]["optional-dependencies"])


def test_every_module_opens_with_what_it_is_for() -> None:
    packages = [package for package in PACKAGES if package != "libs/protos/rag"]
    modules = [module for package in packages for module in (ROOT / package).rglob("*.py")]
    opening = re.compile(r'(#.*\n)*"""[^"]')
    assert [module for module in modules if not opening.match(module.read_text("utf-8"))] == []


def covered(package: Path, checked: list[Path]) -> bool:
    return any(package.is_relative_to(entry) for entry in checked)
