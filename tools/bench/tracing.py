"""What tracing costs: platforms side by side, of which all but the first send spans to a collector."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rag_local.child import end, spawn
from rag_local.program import StartFailed, free_port
from rag_local.service_processes import SERVICES, ServiceSpec
from tools.bench.ab_platforms import running, way
from tools.bench.load import Way

# The first version of Python that rotel has no package for, as in pyproject.toml.
ROTEL_BEFORE = (3, 14)


class NotInstalled(StartFailed):
    """The collector that a part needs is not installed; the message says what to do."""


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
def variants(home: Path) -> Iterator[list[Way]]:
    """The way to the platform that is not traced, then to the others. Raises StartFailed."""
    with collector(home) as receiver, ExitStack() as stack:
        ways = []
        for number, variant in enumerate(_VARIANTS):
            folder, settings = home / str(number), variant.settings(f"http://{receiver}")
            services = stack.enter_context(running(folder, variant.specs, settings))
            ways.append(way(variant.name, services, folder))
        yield ways


def _advice(python: tuple[int, int]) -> str:
    """What to do on this version of Python where rotel is missing."""
    if python >= ROTEL_BEFORE:
        return (
            f"it has no package for Python {python[0]}.{python[1]}; make the environment with an "
            "older one: make clean, then make bench PYTHON=python3.13"
        )
    return "`make test` installs it"


@contextmanager
def collector(home: Path) -> Iterator[str]:
    """rotel, which takes spans and drops them; HOST:PORT where it takes them. Raises NotInstalled."""
    result = importlib.util.find_spec("rotel")
    if not result or not result.origin:
        raise NotInstalled(f"rotel is not installed: {_advice(sys.version_info[:2])}")
    home.mkdir(parents=True, exist_ok=True)
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
        yield address
    finally:
        end(process, 10)
