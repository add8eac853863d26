"""The chart as Helm renders it: its objects, each checked for keys that stand twice."""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml
from tools.chart import package

from tests.support.cluster.programs import qdrant_chart
from tests.support.parts import missing

Object = dict[str, Any]


class Refused(Exception):
    """Helm refuses the values; the message is what it prints."""


@dataclass(frozen=True)
class Rendered:
    """What `helm template` prints, for one release."""

    text: str
    release: str = "rag"

    @cached_property
    def objects(self) -> list[Object]:
        """All objects, of the dependency too."""
        documents = yaml.load_all(self.text, Loader=_StrictLoader)
        return [document for document in documents if document]

    @cached_property
    def own(self) -> list[Object]:
        """The objects without those of Qdrant's chart."""
        return [one for one in self.objects if chart_of(one).startswith("rag-")]

    def of_kind(self, *kinds: str) -> list[Object]:
        """The chart's own objects of these kinds."""
        return [one for one in self.own if one["kind"] in kinds]

    def get(self, kind: str, name: str) -> Object:
        """The only object of this kind with this name."""
        (result,) = (
            one for one in self.objects if (one["kind"], one["metadata"]["name"]) == (kind, name)
        )
        return result

    @property
    def workloads(self) -> list[Object]:
        """Deployments and StatefulSets of the chart itself."""
        return self.of_kind("Deployment", "StatefulSet")

    @property
    def pods(self) -> list[tuple[str, Object]]:
        """Name and spec of each kind of pod, of the test's too."""
        runs = [*self.workloads, *self.of_kind("Job")]
        running = [(name(one), one["spec"]["template"]["spec"]) for one in runs]
        return [*running, *((name(one), one["spec"]) for one in self.of_kind("Pod"))]


class _StrictLoader(yaml.CSafeLoader):
    """YAML without keys that stand twice, of which Helm would silently drop one."""


def _mapping(loader: yaml.CSafeLoader, node: yaml.MappingNode) -> dict[str, Any]:
    loader.flatten_mapping(node)
    pairs = [
        (loader.construct_object(k, True), loader.construct_object(v, True)) for k, v in node.value
    ]
    keys = [key for key, _ in pairs]
    twice = {key for key in keys if keys.count(key) > 1}
    assert not twice, f"keys that stand twice: {twice}, {node.start_mark}"
    return dict(pairs)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def name(one: Object) -> str:
    """The name of an object."""
    result: str = one["metadata"]["name"]
    return result


def chart_of(one: Object) -> str:
    """The chart and version that an object says it is of."""
    return str(one["metadata"].get("labels", {}).get("helm.sh/chart", ""))


def containers(spec: Object) -> Iterator[Object]:
    """All containers of a pod, those that prepare it too."""
    yield from spec.get("initContainers", ())
    yield from spec["containers"]


def helm() -> str:
    """The path of Helm; where it is missing, as tests.support.parts.require."""
    try:
        return package.helm()
    except package.HelmMissing as error:
        missing(str(error))


@cache
def chart() -> Path:
    """The folder of the chart with its dependency, packaged once."""
    helm()
    qdrant_chart()
    folder = Path(tempfile.mkdtemp(prefix="chart-")) / "rag"
    package.package(folder)
    return folder


def render(
    values: Mapping[str, Any], files: Sequence[str] = (), release: str = "rag", *more: str
) -> Rendered:
    """Render the chart with values files (relative to the chart) and values. Raises Refused."""
    arguments = [f"--values={chart() / file}" for file in files]
    done = subprocess.run(
        [helm(), "template", release, chart(), "--namespace=rag", *arguments, "--values=-", *more],
        # As UTF-8: pairs of JSON's escapes, for characters beyond 16 bits, are none of YAML's.
        input=json.dumps(dict(values), ensure_ascii=False),
        encoding="utf-8",
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise Refused(re.sub(r"\s+", " ", done.stderr).strip())
    return Rendered(done.stdout, release)
