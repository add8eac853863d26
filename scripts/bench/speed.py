"""The bare model's speed and the platform's, its memory, its idling, its start."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rag_embedder.library import BUILT_IN, prepared
from rag_local.processes import Running, Spec, running, wait_healthy

TICKS = os.sysconf("SC_CLK_TCK")


def bare(models: Path, seconds: float) -> dict[str, Any]:
    """The model without any service, in a process of its own."""
    sys.stderr.write("the bare model …\n")
    folder = prepared(models, BUILT_IN, "int8")
    done = subprocess.run(
        [sys.executable, Path(__file__).parents[1] / "bare.py", folder, str(seconds)],
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def mean(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Both runs, before the platform's and after it, as one."""
    return {
        name: {key: (value[key] + second[name][key]) / 2 for key in value}
        for name, value in first.items()
        if isinstance(value, dict)
    }


def idle_percent(services: Sequence[Running], seconds: float = 10.0) -> dict[str, float]:
    """CPU of each service with nothing to do, in percent of a core."""
    before = {service.spec.name: _ticks(service) for service in services}
    time.sleep(seconds)
    return {
        service.spec.name: (_ticks(service) - before[service.spec.name]) / TICKS / seconds * 100
        for service in services
    }


def gateway_alone(home: Path) -> float:
    """Seconds from starting another gateway to its being ready, its peers being there."""
    spec = Spec("gateway", 50151, 50161, 50171)
    environment = {
        "RAG_HOME": str(home),
        "GATEWAY_PORT": str(spec.port),
        "GATEWAY_HEALTH_PORT": str(spec.health_port),
    }
    with running(home / "second", environment, [spec]) as started:
        wait_healthy(started, 60)
        return started[0].ready_seconds


def resident_mib(service: Running) -> float:
    """The memory that a service has at this moment."""
    rows = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    return next(int(row.split()[1]) / 1024 for row in rows if row.startswith("VmRSS"))


def through_gateway(home: Path, services: Sequence[Running], seconds: float) -> dict[str, Any]:
    """What `rag bench` finds."""
    pids = [f"--pid={service.spec.name}={service.process.pid}" for service in services]
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("rag"), "bench", "--json"),
            *("--seconds", str(seconds), *pids),
        ],
        env={**os.environ, "RAG_HOME": str(home)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _ticks(service: Running) -> int:
    fields = Path(f"/proc/{service.process.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
