"""Packages the chart with the images' digests in its values."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ruamel.yaml import YAML

from tools.chart.package import SOURCE, helm, package

_NEVER_WRAP = 4096


def package_chart(target: Path, digests: Mapping[str, str], registry: str = "") -> Path:
    """Package the chart into a folder, and return the archive.

    `digests` are by service (`gateway`); `registry` replaces the chart's own unless empty.
    Raises `CalledProcessError` if Helm fails, and `HelmMissing`.
    """
    with TemporaryDirectory() as folder:
        chart = Path(folder) / SOURCE.name
        package(chart)
        fill_in(chart / "values.yaml", digests, registry)
        command = [helm(), "package", str(chart), "--destination", str(target)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (archive,) = target.glob(f"{SOURCE.name}-*.tgz")
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
