"""The chart with its dependency, rendered by helm without a cluster."""

import subprocess
from pathlib import Path
from typing import Any

import yaml
from tools.chart import package

from tests.support.cluster.programs import helm_program, qdrant_chart

# Values with which the lanes of a canary exist.
LANES = (
    "--set", "canary.enabled=true", "--set", "canary.prometheus=http://prometheus.monitoring.svc:9090",
)  # fmt: skip


class Chart:
    """A copy of the chart in a folder, with the archive of Qdrant's chart in it."""

    def __init__(self, folder: Path) -> None:
        qdrant_chart()
        self.folder = folder / "rag"
        package.package(self.folder)

    def values(self, *names: str) -> list[str]:
        """Helm's arguments for values files, named by their paths in the chart."""
        return [word for name in names for word in ("--values", str(self.folder / name))]

    @property
    def regions(self) -> list[str]:
        """The regions that have a file of values."""
        return sorted(path.stem for path in (self.folder / "regions").glob("*.yaml"))

    def render(
        self, *words: str, release: str = "rag", namespace: str = "rag"
    ) -> list[dict[str, Any]]:
        """The objects of a release, with `words` as further arguments of `helm template`."""
        command = [helm_program(), "template", release, str(self.folder), "--namespace", namespace]
        done = subprocess.run([*command, *words], capture_output=True, text=True)
        assert not done.returncode, done.stderr
        return [one for one in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if one]
