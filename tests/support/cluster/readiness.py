"""How many pods of each component were ready, at every moment of a watch."""

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.cluster.control_plane import Cluster

Pod = Mapping[str, Any]


class ReadinessWatch:
    """Records every change of a release's pods while inside."""

    def __init__(self, cluster: Cluster, namespace: str, release: str, log: Path) -> None:
        self._cluster, self._log = cluster, log
        self._words = ["get", "pods", "--namespace", namespace, "--watch", "--output-watch-events"]
        self._words += ["--output", "json", "--selector", f"app.kubernetes.io/instance={release}"]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = self._cluster.start_kubectl(*self._words, log=self._log)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(10)

    def fewest(self, components: set[str]) -> dict[str, int]:
        """The smallest number of ready pods of each component, after all had one.

        A pod that is ending is not ready: no call is sent to it.
        """
        pods: dict[str, Pod] = {}
        counts: list[Counter[str]] = []
        for event in self._events():
            pod = event["object"]
            pods[pod["metadata"]["name"]] = pod
            if event["type"] == "DELETED":
                del pods[pod["metadata"]["name"]]
            now = Counter(component(one) for one in pods.values() if is_ready(one))
            if counts or components <= set(now):
                counts.append(now)
        assert counts, f"not all of {sorted(components)} were ready at the begin"
        return {name: min(now[name] for now in counts) for name in components}

    def _events(self) -> Iterator[dict[str, Any]]:
        text, decoder = self._log.read_text(), json.JSONDecoder()
        while text := text.lstrip():
            try:
                event, end = decoder.raw_decode(text)
            except json.JSONDecodeError:
                # The watch was ended while it wrote.
                return
            text = text[end:]
            yield event


def component(pod: Pod) -> str:
    """The component that a pod belongs to, in the lane `stable`."""
    labels = pod["metadata"]["labels"]
    lane = labels.get("rag-platform/lane", "stable")
    name: str = labels["app.kubernetes.io/name"]
    return name if lane == "stable" else f"{name} {lane}"


def is_ready(pod: Pod) -> bool:
    """Whether the pod gets calls."""
    conditions = pod.get("status", {}).get("conditions", [])
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]
