"""Write the chart with all that it needs to build/chart/rag, and let Helm check it with each values file.

The files that helm/rag has as links are copied. Qdrant's chart comes from $QDRANT_CHART if that is
set, else from its repository. Helm is $HELM, or the command `helm`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools import ROOT

SOURCE = ROOT / "helm" / "rag"
PACKAGE = ROOT / "build" / "chart" / "rag"


class HelmMissing(Exception):
    """Helm is not installed; the message says what to do."""


class DependencyMissing(Exception):
    """The chart that this one depends on is not there; the message says what to do."""


def main() -> int:
    package(PACKAGE)
    for files in values_files(PACKAGE):
        arguments = [f"--values={file}" for file in files]
        subprocess.run([helm(), "lint", "--strict", "--quiet", PACKAGE, *arguments], check=True)
    print(f"{PACKAGE.relative_to(ROOT)} is ready")
    return 0


def package(folder: Path) -> None:
    """Write the chart and its dependency to a folder, which is replaced."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("charts"))
    if dependency := os.environ.get("QDRANT_CHART"):
        (folder / "charts").mkdir()
        shutil.copy(dependency, folder / "charts")
    else:
        done = subprocess.run([helm(), "dependency", "update", folder], check=False)
        if done.returncode:
            raise DependencyMissing(
                "Qdrant's chart was not fetched: without a network, set QDRANT_CHART to its archive"
            )


def helm() -> str:
    """The path of Helm's command. Raises HelmMissing."""
    result = shutil.which(os.environ.get("HELM") or "helm")
    if not result:
        raise HelmMissing("helm is missing: install Helm 4, or set HELM to its path")
    return result


def values_files(folder: Path) -> list[list[Path]]:
    """The combinations of values files that are installed: the laptop's, and each region's."""
    regions = sorted(folder.glob("regions/*.yaml"))
    production = folder / "values-production.yaml"
    return [[folder / "values-laptop.yaml"], *([production, region] for region in regions)]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (HelmMissing, DependencyMissing) as error:
        sys.exit(str(error))
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
