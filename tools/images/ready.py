"""How long the services of the images take until they are ready, on this machine; needs root."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from rag_local import dev_keys
from rag_local.child import end
from rag_local.service_processes import (
    SERVICES,
    ServiceProcess,
    ServiceSpec,
    require_free,
    start,
    targets,
    wait_healthy,
)
from tools.images.archive import Archive
from tools.images.build import tar_of
from tools.images.roots import ImageRoot, unpacked

_STARTS = 5
_MAX_SECONDS = 120.0
_DRAIN_SECONDS = 30.0
_USER = 65532


def ready_seconds() -> dict[str, float]:
    """The median of several starts of each service, from its command until it reports SERVING.

    One service starts at a time, while those that it calls are up; the embedder's model is prepared.
    """
    require_free()
    with TemporaryDirectory() as temporary, ExitStack() as stack:
        home, result = _volume(Path(temporary)), {}
        roots = {
            spec.name: unpacked(Archive(tar_of(spec.name)), Path(temporary, spec.name), home)
            for spec in SERVICES
        }
        environment = _prepared(roots["embedder"], home)
        for spec in (replace(one, command=roots[one.name].command()) for one in SERVICES):
            result[spec.name] = median(_starts(spec, environment, home))
            stack.enter_context(_running(spec, environment, home))
        return result


def _volume(temporary: Path) -> Path:
    home = temporary / "volume"
    dev_keys.ensure(home / "keys")
    (home / "logs").mkdir()
    temporary.chmod(0o755)
    for path in (home, *home.rglob("*")):
        os.chown(path, _USER, _USER)
    return home


def _prepared(embedder: ImageRoot, home: Path) -> Mapping[str, str]:
    """The services' environment, with a prepared model."""
    models = {"RAG_HOME": str(home), "EMBEDDER_MODELS_DIR": str(home / "models")}
    command = embedder.command("python3", "-m", "rag_embedder.models.prepare_model")
    subprocess.run(command, env=os.environ | models, check=True)
    return {**models, **targets(SERVICES)}


def _starts(spec: ServiceSpec, environment: Mapping[str, str], home: Path) -> Iterator[float]:
    # The first one reads the image from the disk.
    for number in range(_STARTS + 1):
        with _running(spec, environment, home) as service:
            if number:
                yield service.ready_seconds


@contextmanager
def _running(
    spec: ServiceSpec, environment: Mapping[str, str], home: Path
) -> Iterator[ServiceProcess]:
    log = home / "logs" / f"{spec.name}.log"
    service = ServiceProcess(spec, start(spec, environment, log), log)
    try:
        wait_healthy([service], _MAX_SECONDS)
        yield service
    finally:
        end(service.process, _DRAIN_SECONDS)
