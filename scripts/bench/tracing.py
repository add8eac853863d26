"""What tracing costs: two platforms side by side, one of which sends a span of everything to a collector."""

import importlib.util
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from scripts.bench.pair import SPECS, Way

from rag_client.channel import Gateway
from rag_local import keys
from rag_local.processes import (
    SERVICES,
    Running,
    StartFailed,
    free_port,
    require_free,
    running,
    wait_healthy,
)

_READY_SECONDS = 180.0


@contextmanager
def both(home: Path) -> Iterator[list[Way]]:
    """The way to the one that is silent, then to the one that is traced. Raises StartFailed."""
    require_free(SPECS)
    require_free()
    keys.ensure(home / "keys")
    folders = [home / "silent", home / "traced"]
    for folder in folders:
        # One key for both, so that one token is good for both.
        shutil.copytree(home / "keys", folder / "keys", dirs_exist_ok=True)
    with _collector(home) as endpoint:
        told = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_SAMPLER": "always_on"}
        silent = running(folders[0], _settings(folders[0]), SPECS)
        traced = running(folders[1], {**_settings(folders[1]), **told}, SERVICES)
        with silent as first, traced as second:
            wait_healthy([*first, *second], _READY_SECONDS)
            yield [_way("not traced", first), _way("traced, every call", second)]


def _settings(home: Path) -> Mapping[str, str]:
    return {"RAG_HOME": str(home.resolve())}


def _way(name: str, services: list[Running]) -> Way:
    pids = {service.spec.name: service.process.pid for service in services}
    [front] = [service.spec for service in services if service.spec.name == "gateway"]
    return Way(name, Gateway(f"127.0.0.1:{front.port}"), None, pids)


@contextmanager
def _collector(home: Path) -> Iterator[str]:
    """rotel, which takes spans and drops them; where it takes them."""
    found = importlib.util.find_spec("rotel")
    if not found or not found.origin:
        raise StartFailed("rotel is not installed: `bash scripts/setup.sh .venv` installs it")
    address = f"127.0.0.1:{free_port()}"
    agent = Path(found.origin).with_name("rotel-agent")
    http = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [
            *(str(agent), "start", "--otlp-grpc-endpoint", address, "--otlp-http-endpoint", http),
            *("--pid-file", str(home / "rotel.pid"), "--exporter", "blackhole"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(10)
