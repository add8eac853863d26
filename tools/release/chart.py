"""Packages the chart with the images' digests in its values."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ruamel.yaml import YAML

_NEVER_WRAP = 4096


def package_chart(
    source: Path, target: Path, digests: Mapping[str, str], registry: str = ""
) -> Path:
    """Package a copy of the chart into a folder, and return the archive.

    `digests` are by service (`gateway`); `registry` replaces the chart's own unless empty. The
    program is `helm` on the PATH or the one that HELM names. Qdrant's chart, on which ours depends,
    is fetched unless QDRANT_CHART names its archive.
    Raises `CalledProcessError` if helm fails.
    """
    with TemporaryDirectory() as folder:
        chart = Path(shutil.copytree(source, Path(folder) / source.name))
        fill_in(chart / "values.yaml", digests, registry)
        _provide_dependencies(chart)
        _helm("package", str(chart), "--destination", str(target))
    (archive,) = target.glob(f"{source.name}-*.tgz")
    return archive


def fill_in(values: Path, digests: Mapping[str, str], registry: str = "") -> None:
    """Write the digests and the registry into a file of values; comments and order stay."""
    yaml = YAML()
    yaml.width = _NEVER_WRAP
    yaml.preserve_quotes = True
    content: dict[str, Any] = yaml.load(values.read_text("utf-8"))
    content["image"]["digests"] = dict(digests)
    if registry:
        content["image"]["registry"] = registry
    with values.open("w", encoding="utf-8") as file:
        yaml.dump(content, file)


def _provide_dependencies(chart: Path) -> None:
    archive = os.environ.get("QDRANT_CHART")
    if archive:
        (chart / "charts").mkdir(exist_ok=True)
        shutil.copy(archive, chart / "charts")
    else:
        _helm("dependency", "update", str(chart))


def _helm(*arguments: str) -> None:
    program = os.environ.get("HELM") or "helm"
    subprocess.run([program, *arguments], check=True, stdout=subprocess.DEVNULL)
