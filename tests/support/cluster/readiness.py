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
from tests.support.waiting import wait_until

Pod = Mapping[str, Any]


class ReadinessWatch:
    """Records every change of a release's pods while inside."""

    def __init__(self, cluster: Cluster, namespace: str, release: str, log: Path) -> None:
        self._cluster, self._log = cluster, log
        self._pods = namespace, f"app.kubernetes.io/instance={release}"
        self._initial: set[str] = set()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        namespace, selector = self._pods
        pods = self._cluster.items("pods", namespace, selector)
        self._initial = {pod["metadata"]["name"] for pod in pods}
        words = ["get", "pods", "--namespace", namespace, "--selector", selector]
        words += ["--watch", "--output-watch-events", "--output", "json"]
        self._process = self._cluster.start_kubectl(*words, log=self._log)
        wait_until(lambda: self._initial <= self._seen(), "the watch shows all pods")
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

    def fewest(self) -> dict[str, int]:
        """The smallest number of ready pods of each component that was there at the begin.

        A pod that is ending is not ready: no call is sent to it.
        """
        pods: dict[str, Pod] = {}
        seen: set[str] = set()
        counts: list[Counter[str]] = []
        for event in self._events():
            name = event["object"]["metadata"]["name"]
            pods[name] = event["object"]
            seen.add(name)
            if event["type"] == "DELETED":
                del pods[name]
            if self._initial <= seen:
                counts.append(Counter(component(one) for one in pods.values() if is_ready(one)))
        return {name: min(now[name] for now in counts) for name in counts[0]}

    def _seen(self) -> set[str]:
        return {event["object"]["metadata"]["name"] for event in self._events()}

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
