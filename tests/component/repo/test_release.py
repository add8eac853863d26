"""`make release` refuses what is not fit to be released, and its files say what they contain."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as Message
from tools.gonogo.context import Context, head
from tools.gonogo.finding import State
from tools.gonogo.items import load
from tools.release.sums import wrong_files

from tests.support.cluster.programs import helm_program, qdrant_chart

ROOT = Path(__file__).resolve().parents[3]
VERSION = "0.1.0"
NEEDED = ("tools", "protos", "helm", "requirements", "CHANGELOG.md", "pyproject.toml", "buf.yaml",
          "libs/client/pyproject.toml", "libs/cli/pyproject.toml", ".gitignore")  # fmt: skip
SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if path.is_dir())
DIGESTS = {name: f"sha256:{number:064x}" for number, name in enumerate(SERVICES, 1)}
RECORDS = {name: {"digest": digest, "bytes": 1} for name, digest in DIGESTS.items()}
IMAGES = {f"rag-{name}": digest for name, digest in DIGESTS.items()}
NOTES = f"## [{VERSION}] - 2026-12-01\n\n### Added\n\n- Regions.\n\n"
CHANGELOG = f"# Changelog\n\n## [Unreleased]\n\n{NOTES}## [0.0.9] - 2026-01-01\n\n- First.\n"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that is fit to be released as `VERSION`, with built images; tests change copies."""
    folder = tmp_path_factory.mktemp("prepared") / "checkout"
    for name in NEEDED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    for name in SERVICES:
        (folder / "services" / name).mkdir(parents=True)
        (folder / "services" / name / "README").touch()
    (folder / "CHANGELOG.md").write_text(CHANGELOG)
    run(folder, "tools.contracts.breaking", "--release")
    commit(folder)
    images(folder)
    return folder


@pytest.fixture
def checkout(prepared: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(prepared, tmp_path / "checkout", symlinks=True)


def images(folder: Path) -> None:
    """What `make images` leaves."""
    target = folder / "build" / "images"
    target.mkdir(parents=True)
    (target / "digests.json").write_text(json.dumps(RECORDS))
    for name in IMAGES:
        (target / f"{name}.tar").write_bytes(name.encode())
        (target / f"{name}.cdx.json").write_text('{"bomFormat": "CycloneDX"}')


def commit(folder: Path) -> None:
    for command in (
        "git init --quiet",
        "git add --all",
        "git -c user.name=T -c user.email=t@example.com commit --quiet --message it",
    ):
        subprocess.run(command.split(), cwd=folder, check=True)


def edit(folder: Path, name: str, change: Callable[[str], str]) -> None:
    path = folder / name
    before = path.read_text("utf-8")
    assert change(before) != before
    path.write_text(change(before), "utf-8")


def run(folder: Path, module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    programs = {"HELM": helm_program(), "QDRANT_CHART": str(qdrant_chart())}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), **programs},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip


def output(*command: str, folder: Path) -> str:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def refusals(folder: Path, version: str = VERSION) -> list[str]:
    done = run(folder, "tools.release.checks", version)
    assert done.returncode == (1 if done.stderr else 0), done.stderr
    return done.stderr.splitlines()


def test_a_checkout_that_is_fit_is_not_refused(checkout: Path) -> None:
    assert refusals(checkout) == []


def test_what_is_not_committed_is_refused(checkout: Path) -> None:
    (checkout / "tools" / "new.py").touch()
    edit(checkout, "CHANGELOG.md", lambda text: f"{text}\n")
    assert refusals(checkout) == ["not committed: CHANGELOG.md, tools/new.py"]


def other_version(text: str) -> str:
    return re.sub(rf'^version([ =:]+)"?{VERSION}"?', r'version\g<1>"0.0.9"', text, flags=re.M)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("pyproject.toml", "pyproject.toml"),
        ("libs/client/pyproject.toml", "libs/client/pyproject.toml"),
        ("libs/cli/pyproject.toml", "libs/cli/pyproject.toml"),
        ("helm/rag/Chart.yaml", "helm/rag/Chart.yaml (version)"),
    ],
)
def test_another_version_is_refused(checkout: Path, name: str, place: str) -> None:
    edit(checkout, name, other_version)
    commit(checkout)
    assert refusals(checkout) == [f"{place} has version 0.0.9, not {VERSION}"]


def test_a_version_that_nothing_has_is_refused_everywhere(checkout: Path) -> None:
    found = refusals(checkout, "9.8.7")
    assert len([one for one in found if one.endswith(f"has version {VERSION}, not 9.8.7")]) == 5
    assert found[5:] == ["CHANGELOG.md has no section [9.8.7]"]


@pytest.mark.parametrize("version", ["", "1", "1.2", "v1.2.3", "1.2.3-rc1", "01.2.3", "$(id)"])
def test_what_is_no_version_is_refused(checkout: Path, version: str) -> None:
    (found,) = refusals(checkout, version)
    assert "is no version" in found


def test_a_changelog_without_the_section_is_refused(checkout: Path) -> None:
    edit(checkout, "CHANGELOG.md", lambda text: text.replace(NOTES, ""))
    commit(checkout)
    assert refusals(checkout) == [f"CHANGELOG.md has no section [{VERSION}]"]


def test_contracts_that_are_not_recorded_are_refused(checkout: Path) -> None:
    edit(
        checkout,
        "protos/rag/retriever/v1/retriever_service.proto",
        lambda text: text.replace(
            "repeated Index indexes = 1;", "repeated Index indexes = 1;\n  uint32 total = 2;"
        ),
    )
    commit(checkout)
    assert refusals(checkout) == ["protos/released.binpb is not current: run `make protos-release`"]


@pytest.fixture(scope="module")
def release(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a release, which no test changes."""
    checkout = tmp_path_factory.mktemp("released") / "checkout"
    return released(shutil.copytree(prepared, checkout, symlinks=True))


def released(checkout: Path) -> Path:
    done = run(checkout, "tools.release", VERSION)
    assert done.returncode == 0, done.stderr
    assert "Nothing is signed or published." in done.stdout
    return checkout / "build" / "release" / VERSION


def test_a_release_has_images_contents_chart_provenance_and_notes(release: Path) -> None:
    assert sorted(path.name for path in release.iterdir()) == sorted(
        [
            *("NOTES.md", "SHA256SUMS", "digests.json", "provenance.json", f"rag-{VERSION}.tgz"),
            *(f"{name}.{ending}" for name in IMAGES for ending in ("cdx.json", "tar")),
        ]
    )
    assert (release / "NOTES.md").read_text("utf-8") == "### Added\n\n- Regions.\n"
    output("sha256sum", "--check", "--strict", "SHA256SUMS", folder=release)


def test_the_chart_of_a_release_has_the_digests_in_its_values(
    release: Path, tmp_path: Path
) -> None:
    with tarfile.open(release / f"rag-{VERSION}.tgz") as archive:
        archive.extractall(tmp_path / "chart", filter="data")
    packaged = (tmp_path / "chart" / "rag" / "values.yaml").read_text("utf-8")
    source = (ROOT / "helm" / "rag" / "values.yaml").read_text("utf-8")
    expected = yaml.safe_load(source)
    expected["image"]["digests"] = DIGESTS
    assert yaml.safe_load(packaged) == expected
    assert packaged.count("# -- ") == source.count("# -- ") > 20


def test_a_packaged_chart_installs_images_by_their_digests(release: Path) -> None:
    objects = output(
        *(helm_program(), "template", "rag", f"rag-{VERSION}.tgz"),
        *("--values", str(ROOT / "helm/rag/values-laptop.yaml")),
        folder=release,
    )
    used = set(re.findall(r"image: [\"']?\S+/(rag-[a-z]+)@(sha256:[0-9a-f]{64})", objects))
    assert used == set(IMAGES.items())
    assert not re.search(r"image: [\"']?\S+/rag-[a-z]+:", objects)


def test_the_provenance_names_the_commit_the_locks_and_every_image(release: Path) -> None:
    checkout = release.parents[2]
    stated: dict[str, Any] = json.loads((release / "provenance.json").read_text("utf-8"))
    Statement.copy_from_pb(ParseDict(stated, Message())).validate()
    ParseDict(stated["predicate"], Provenance())
    assert stated["predicateType"] == "https://slsa.dev/provenance/v1"
    subjects = {one["name"]: f"sha256:{one['digest']['sha256']}" for one in stated["subject"]}
    assert IMAGES.items() <= subjects.items()
    assert subjects.keys() - IMAGES.keys() == {f"rag-{VERSION}.tgz"}
    materials = stated["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert materials[0]["digest"] == {"gitCommit": head(checkout)}
    locks = {str(path.relative_to(ROOT)) for path in (ROOT / "requirements").rglob("*.txt")}
    assert {one["uri"].removeprefix("file:") for one in materials[1:]} == locks


def test_images_that_are_pushed_already_are_taken_by_their_digests(checkout: Path) -> None:
    pushed = checkout / "build" / "pushed.json"
    pushed.write_text(json.dumps(RECORDS))
    built = checkout / "build" / "images"
    for path in built.glob("*.cdx.json"):
        path.rename(path.with_name(path.name.replace(".cdx", ".arm64.cdx")))
    for path in built.glob("*.tar"):
        path.unlink()
    done = run(
        checkout, "tools.release", VERSION, "--digests", str(pushed), "--registry", "r.example/x"
    )
    assert done.returncode == 0, done.stderr
    folder = checkout / "build" / "release" / VERSION
    assert len(list(folder.glob("*.arm64.cdx.json"))) == len(DIGESTS)
    assert not list(folder.glob("*.tar"))
    values = output(helm_program(), "show", "values", f"rag-{VERSION}.tgz", folder=folder)
    assert yaml.safe_load(values)["image"]["registry"] == "r.example/x"


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"gateway": {}}, "gateway"),
        ({"gateway": {"digest": "latest"}, "other": {"digest": "sha256:12"}}, "gateway, other"),
    ],
)
def test_digests_that_are_missing_or_none_are_refused(
    checkout: Path, change: dict[str, dict[str, str]], names: str
) -> None:
    path = checkout / "build" / "images" / "digests.json"
    for records, missing in [({**RECORDS, **change}, names), ({}, ", ".join(SERVICES))]:
        path.write_text(json.dumps(records))
        done = run(checkout, "tools.release", VERSION)
        assert done.returncode != 0
        assert done.stderr.strip().endswith(f"no digest of the form sha256:… for {missing}")
    assert not (checkout / "build" / "release").exists()


def test_the_checklist_takes_a_release_of_this_commit_that_is_unchanged(checkout: Path) -> None:
    release = released(checkout)
    (item,) = [one for one in load(ROOT / "tools/gonogo/checklist.toml") if one.reads == "release"]
    context = Context(checkout, head(checkout))
    assert item.check(context).state is State.GO
    assert item.check(Context(checkout, "0" * 40)).state is State.NOT_VERIFIED
    (release / "digests.json").write_text("{}")
    (release / "rag-new.tar").touch()
    assert wrong_files(release) == ["digests.json", "rag-new.tar"]
    assert item.check(context).state is State.NO_GO
