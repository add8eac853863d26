"""What tracing costs: platforms side by side, of which all but the first send spans to a collector."""

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rag_local import dev_keys
from rag_local.child import end, spawn
from rag_local.program import StartFailed, free_port
from rag_local.service_processes import (
    SERVICES,
    ServiceProcess,
    ServiceSpec,
    require_free,
    run_services,
    wait_healthy,
)
from tools.bench.ab_platforms import way
from tools.bench.load import Way

# The first version of Python that rotel has no package for, as in pyproject.toml.
ROTEL_BEFORE = (3, 14)

_READY_SECONDS = 180.0


class NotInstalled(StartFailed):
    """The collector that this part needs is not installed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class _Variant:
    """A platform by the share of calls that it records, None for no tracing; its ports are shifted.

    With `by_sdk` its services use the span processor and the exporter of OpenTelemetry's SDK.
    """

    name: str
    share: str | None
    shift: int
    by_sdk: bool = False

    @property
    def specs(self) -> list[ServiceSpec]:
        """The services, in the order in which they start."""
        shifted = [spec.shifted(self.shift) for spec in SERVICES]
        if not self.by_sdk:
            return shifted
        program = (sys.executable, "-m", "tools.bench.sdk_spans")
        return [replace(spec, command=(*program, spec.package)) for spec in shifted]

    def settings(self, endpoint: str) -> Mapping[str, str]:
        """The variables of OpenTelemetry."""
        if self.share is None:
            return {}
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "1000",
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": self.share,
        }


_VARIANTS = (
    _Variant("not traced", None, 100),
    _Variant("traced, 10 % of calls", "0.1", 200),
    _Variant("traced, every call", "1", 0),
    _Variant("traced, every call, by the SDK's exporter", "1", 300, by_sdk=True),
)


@contextmanager
def both(home: Path) -> Iterator[list[Way]]:
    """The way to the platform that is not traced, then to the others. Raises StartFailed."""
    for variant in _VARIANTS:
        require_free(variant.specs)
    dev_keys.ensure(home / "keys")
    with _collector(home) as endpoint, ExitStack() as stack:
        started: list[tuple[_Variant, list[ServiceProcess]]] = []
        for number, variant in enumerate(_VARIANTS):
            folder = home / str(number)
            # One key for all, so that one token is good for all.
            shutil.copytree(home / "keys", folder / "keys", dirs_exist_ok=True)
            settings = {"RAG_HOME": str(folder.resolve()), **variant.settings(endpoint)}
            services = stack.enter_context(run_services(folder, settings, variant.specs))
            started.append((variant, services))
        wait_healthy([one for _, services in started for one in services], _READY_SECONDS)
        yield [way(variant.name, services, home) for variant, services in started]


def _advice(python: tuple[int, int]) -> str:
    """What to do on this version of Python where rotel is missing."""
    if python >= ROTEL_BEFORE:
        return (
            f"it has no package for Python {python[0]}.{python[1]}; make the environment with an "
            "older one: make clean, then make bench PYTHON=python3.13 PART=tracing"
        )
    return "`make test` installs it"


@contextmanager
def _collector(home: Path) -> Iterator[str]:
    """rotel, which takes spans and drops them; where it takes them."""
    result = importlib.util.find_spec("rotel")
    if not result or not result.origin:
        raise NotInstalled(f"rotel is not installed: {_advice(sys.version_info[:2])}")
    address = f"127.0.0.1:{free_port()}"
    agent = Path(result.origin).with_name("rotel-agent")
    http = f"127.0.0.1:{free_port()}"
    process = spawn(
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
        end(process, 10)
