"""Five alarms tried with the shipped rules and waits, in some twelve minutes; prints a table: [OUTPUT]."""

import asyncio
import json
import logging
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.e2e.trusted import TrustedPlatform, trusted_platform  # noqa: E402 - found by the line above
from tests.observability import harms  # noqa: E402
from tests.observability.alarming import Course, Trial, Watched, tried, watched  # noqa: E402
from tests.observability.conftest import threaded  # noqa: E402
from tests.observability.haste import milliseconds  # noqa: E402

from rag_gateway.settings import Settings as GatewaySettings  # noqa: E402
from rag_generator.settings import Settings as GeneratorSettings  # noqa: E402
from rag_local.platform import prepare_model  # noqa: E402
from rag_local.processes import StartFailed, program  # noqa: E402

CONFIGURATION = ROOT / "deploy" / "observability" / "prometheus" / "prometheus.yml"
PARTS = ("bao", "redis-server")
# Three minutes instead of the shipped hour: a fifth of it is two readings of Prometheus'.
LIFE = 180
# As it ships, a service looks for its secrets every five seconds, give or take a tenth.
NOTICE = 6.0
TRIALS = (
    Trial("RagCertificateExpiring", "gateway", harms.Expiry(LIFE)),
    Trial("RagEmbeddingQueueFull", "embedder", harms.queue_filled),
    Trial("RagServiceDown", "embedder", harms.embedder_killed),
    Trial("RagQuotaStoreDown", "gateway", harms.redis_cut),
    Trial("RagSecretsDown", "gateway", harms.vault_sealed),
)
HEAD = (
    "| alarm | fires by | fired after | told by | told after | over after | first command prints |",
    "| --- | --- | --- | --- | --- | --- | --- |",
)
_WIDEST = 160


def main() -> int:
    models = Path(os.environ.get("EMBEDDER_MODELS_DIR") or ROOT / ".rag" / "models").resolve()
    os.environ["EMBEDDER_MODELS_DIR"] = str(models)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        for part in PARTS:
            program(part, "bash scripts/setup.sh .venv")
        prepare_model()
        with TemporaryDirectory(prefix="alarms-") as home:
            lines = asyncio.run(table(Path(home), models))
    except (StartFailed, AssertionError) as error:
        sys.stderr.write(f"make alarms: {error}\n")
        return 1
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text("\n".join([*HEAD, *lines, ""]), "utf-8")
    return 0


async def table(home: Path, models: Path) -> list[str]:
    """A row for each alarm, each shown as it comes. Raises StartFailed, AssertionError for one that fails."""
    rows = []
    _end_with(asyncio.current_task())
    show(*HEAD)
    async with (
        platform(home, models) as trusted,
        watched(home, trusted, factor=1, interval=interval(), notice=NOTICE) as watch,
    ):
        for trial in TRIALS:
            rows.append(await row(watch, trial))
            show(rows[-1])
    return rows


@asynccontextmanager
async def platform(home: Path, models: Path) -> AsyncIterator[TrustedPlatform]:
    """The services with everything from Vault, as often asked as they ship."""
    environment = {"EMBEDDER_MODELS_DIR": str(models), **harms.SETTINGS, **dict(shipped())}
    passwords = {"redis": secrets.token_hex(16), "llm": secrets.token_hex(16)}
    inside = home / "platform"
    inside.mkdir()
    running = trusted_platform(inside, environment, passwords=passwords, life=f"{LIFE}s")
    async with threaded(running) as started:
        yield started


def shipped() -> Iterator[tuple[str, str]]:
    """Settings that tests make quicker, as they ship."""
    for settings in (GatewaySettings, GeneratorSettings):
        prefix = settings.model_config["env_prefix"]
        for name in ("vault_poll", "health_interval", "jwks_max_age", "redis_timeout"):
            if name in settings.model_fields:
                yield f"{prefix}{name.upper()}", str(settings.model_fields[name].default)


def interval() -> float:
    """Seconds between readings, as Prometheus' configuration ships."""
    told = yaml.safe_load(CONFIGURATION.read_text("utf-8"))["global"]["scrape_interval"]
    return milliseconds(told) / 1000


async def row(watch: Watched, trial: Trial) -> str:
    """A line of the table. Raises AssertionError where the alarm does not come, or does not end."""
    async with tried(watch, trial) as course:
        pass
    promised = course.promise
    seconds = [
        promised.firing,
        course.fired_after,
        promised.firing + promised.telling,
        course.told_after,
        course.resolved_after,
    ]
    cells = [trial.alert, *(f"{value:.0f} s" for value in seconds), gist(course)]
    return f"| {' | '.join(cells)} |"


def gist(course: Course) -> str:
    """What is wrong by what was printed: the checks that fail, or the lines as they are."""
    try:
        checks = json.loads(course.printed)["checks"]
    except ValueError:
        said = "; ".join(course.printed.splitlines())
        return f"`{said[:_WIDEST]}`"
    failing = [f"{name}: {check['error']}" for name, check in checks.items() if not check["ok"]]
    return f"`{', '.join(failing)}`"


def _end_with(task: "asyncio.Task[list[str]] | None") -> None:
    """SIGTERM ends the task, and with it all that was started."""
    if task:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def show(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
