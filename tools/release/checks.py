"""Whether the checkout is fit to be released as a version: python -m tools.release.checks VERSION."""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import yaml

from tools import ROOT
from tools.contracts.breaking import RELEASED, build
from tools.lock import OWN
from tools.release.changelog import release_notes

CHART = "helm/rag/Chart.yaml"
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


def main() -> int:
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m tools.release.checks VERSION\n")
        return 2
    found = problems(ROOT, sys.argv[1])
    for problem in found:
        sys.stderr.write(f"{problem}\n")
    return 1 if found else 0


def problems(root: Path, version: str) -> list[str]:
    """Every reason against the release; empty if there is none."""
    if not _VERSION.fullmatch(version):
        return [f"{version or 'VERSION'} is no version: give one such as VERSION=1.2.3"]
    return [
        *_uncommitted(root),
        *_versions(root, version),
        *_notes(root, version),
        *_contracts(),
    ]


def _uncommitted(root: Path) -> list[str]:
    command = ["git", "status", "--porcelain"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    files = [line[3:] for line in done.stdout.splitlines()]
    return [f"not committed: {', '.join(files)}"] if files else []


def _versions(root: Path, version: str) -> list[str]:
    stated = {
        f"{folder}/pyproject.toml".removeprefix("./"): _project_version(root / folder)
        for folder in OWN.values()
    }
    chart = yaml.safe_load((root / CHART).read_text("utf-8"))
    stated |= {f"{CHART} ({key})": str(chart[key]) for key in ("version", "appVersion")}
    return [
        f"{place} has version {found}, not {version}"
        for place, found in stated.items()
        if found != version
    ]


def _project_version(folder: Path) -> str:
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    return str(project["project"]["version"])


def _notes(root: Path, version: str) -> list[str]:
    try:
        release_notes((root / "CHANGELOG.md").read_text("utf-8"), version)
    except ValueError as error:
        return [str(error)]
    return []


def _contracts() -> list[str]:
    """The next version is compared with the contracts of this one, so they must be recorded."""
    with tempfile.TemporaryDirectory() as folder:
        current = Path(folder) / "current.binpb"
        if build(current, "--exclude-source-info"):
            return ["the protobuf contracts cannot be built"]
        same = current.read_bytes() == RELEASED.read_bytes()
    return [] if same else ["protos/released.binpb is not current: run `make protos-release`"]


if __name__ == "__main__":
    sys.exit(main())
