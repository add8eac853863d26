"""Alarms tried with the real parts: harm is done, the alarm comes in time, its runbook shows the cause.

The trials take minutes (`make test-long`); ALARM_FACTOR=1 tries them with the waits as they ship
(`make alarms`, 20 minutes). That each alert fires and is silent as it should is tested by promtool, in
test_rules.py.
"""

import asyncio
import json
import os
import re
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from rag_gateway.settings import Settings as GatewaySettings
from rag_generator.settings import Settings as GeneratorSettings
from rag_local.backends.alertmanager import TEMPLATE
from tests.e2e.trusted import TrustedPlatform, trusted_platform
from tests.support.observability import harms, runbook
from tests.support.observability.alarming import Course, Trial, Watched, tried, watched
from tests.support.observability.fixtures import INSTALL, RULES, threaded
from tests.support.observability.haste import hastened, milliseconds, promise, written
from tests.support.parts import prepared_models, tool
from tests.support.waiting import until

# By default two seconds stand for a minute of the rules.
FACTOR = float(os.environ.get("ALARM_FACTOR", "30"))
SHIPPED = FACTOR == 1
# Seconds between readings, as Prometheus' configuration ships or short.
INTERVAL = 15.0 if SHIPPED else 1.0
# In tests services look for changes twice a second, as shipped every five; the rest is for a busy machine.
NOTICE = 6.0 if SHIPPED else 3.0
# Seconds of a certificate's life: it is renewed at two thirds, and near its end at four fifths.
LIFE = 180 if SHIPPED else 20

DURATION = re.compile(r"(?:\d+(?:ms|[smhdw]))+")
WAITING = re.compile(
    r"for|keep_firing_for|interval|resolve_timeout|group_(?:wait|interval)|repeat_interval"
)


@pytest_asyncio.fixture(scope="module")
async def trusted(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TrustedPlatform]:
    """The services, with everything from Vault, and a Redis."""
    tool("prometheus", INSTALL)
    tool("alertmanager", INSTALL)
    models = await asyncio.to_thread(prepared_models)
    own = dict(shipped_settings()) if SHIPPED else {}
    environment = {"EMBEDDER_MODELS_DIR": str(models), **harms.SETTINGS, **own}
    passwords = {"redis": secrets.token_hex(16), "llm": secrets.token_hex(16)}
    home = tmp_path_factory.mktemp("alarms")
    running = trusted_platform(home, environment, passwords=passwords, life=f"{LIFE}s")
    async with threaded(running) as started:
        yield started


@pytest_asyncio.fixture(scope="module")
async def watch(
    trusted: TrustedPlatform, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Watched]:
    """Prometheus with our rules, Alertmanager with our routes, and who is told."""
    home = tmp_path_factory.mktemp("watched")
    async with watched(home, trusted, factor=FACTOR, interval=INTERVAL, notice=NOTICE) as started:
        yield started


def shipped_settings() -> Iterator[tuple[str, str]]:
    """Settings that tests make shorter, as they ship."""
    for settings in (GatewaySettings, GeneratorSettings):
        prefix = settings.model_config["env_prefix"]
        for name in ("vault_poll", "health_interval", "jwks_max_age", "redis_timeout"):
            if name in settings.model_fields:
                yield f"{prefix}{name.upper()}", str(settings.model_fields[name].default)


def in_time(watch: Watched, trial: Trial, course: Course) -> bool:
    """Whether it fired when its rule says, and was sent when its route says; prints the seconds."""
    allowed = watch.allowed(trial.alert)
    sys.stdout.write(
        f"{trial.alert}: fires by {course.promise.firing:.0f} s, fired after {course.fired_after:.0f} s, "
        f"sent after {course.told_after:.0f} s\n"
    )
    fired = course.promise.firing <= course.fired_after <= allowed.firing
    return fired and course.told_after - course.fired_after <= allowed.telling


def failing(page: str) -> dict[str, str]:
    """The checks that fail on a page of health, with the class of their error."""
    checks: dict[str, Any] = json.loads(page)["checks"]
    return {name: check["error"] for name, check in checks.items() if not check["ok"]}


# The alarms


@pytest.mark.long
async def test_a_certificate_that_is_not_renewed_pages_before_its_end(watch: Watched) -> None:
    trial = Trial("RagCertificateExpiring", "gateway", harms.Expiry(LIFE))
    async with tried(watch, trial) as course:
        assert in_time(watch, trial, course)
        assert course.told.path == "/page"
        # It is good yet, and the PKI engine gives no other.
        assert list(failing(course.printed).items()) == [("secrets", "Refused")]
    await watch.ended(trial, course.mended)


@pytest.mark.long
async def test_a_full_embedding_queue_pages(watch: Watched) -> None:
    trial = Trial("RagEmbeddingQueueFull", "embedder", harms.queue_filled)
    async with tried(watch, trial) as course:
        assert in_time(watch, trial, course)
        assert course.told.path == "/page"
        values = dict(line.rsplit(" ", 1) for line in course.printed.splitlines())
        assert float(values['rag_embed_queue_capacity{service="embedder"}']) == harms.QUEUE_TEXTS
        waiting = 'rag_embed_queue_texts{priority="query",service="embedder"}'
        assert float(values[waiting]) > 0.5 * harms.QUEUE_TEXTS
    await watch.ended(trial, course.mended)


@pytest.mark.long
async def test_a_killed_embedder_pages_once_and_what_follows_is_held_back(watch: Watched) -> None:
    trial = Trial("RagServiceDown", "embedder", harms.embedder_killed)
    follow = {"RagServiceNotReady", "RagCheckFailing"}
    async with tried(watch, trial) as course:
        assert in_time(watch, trial, course)
        assert course.told.path == "/page"
        assert re.search(r"Failed to connect to 127\.0\.0\.1", course.printed)
        await until(lambda: follow <= suppressed(watch), "what follows at the gateway is held back")
        page = await watch.first_look("RagServiceNotReady", "gateway")
        assert failing(page)["embedder"] == "DEPENDENCY_DOWN"
    await watch.ended(trial, course.mended)
    since = course.told.moment - course.told_after
    meanwhile = [one for one in watch.webhook.told if since < one.moment < course.mended]
    assert follow & {one.labels["alertname"] for one in meanwhile} == set()


def suppressed(watch: Watched) -> set[str]:
    """The gateway's alerts that another one holds back."""
    held = watch.alertmanager.alerts()
    return {
        one.name
        for one in held
        if one.state == "suppressed" and one.labels.get("service") == "gateway"
    }


@pytest.mark.long
async def test_a_redis_that_is_cut_off_makes_a_ticket_though_nobody_calls(watch: Watched) -> None:
    trial = Trial("RagQuotaStoreDown", "gateway", harms.redis_cut)
    async with tried(watch, trial) as course:
        assert in_time(watch, trial, course)
        assert course.told.path == "/ticket"
        assert failing(course.printed) == {"limits": "ConnectionError"}


@pytest.mark.long
async def test_a_sealed_vault_pages(watch: Watched) -> None:
    # Certificates that outlive it: their end is another alarm.
    await watch.trusted.lasting()
    trial = Trial("RagSecretsDown", "gateway", harms.vault_sealed)
    async with tried(watch, trial) as course:
        assert in_time(watch, trial, course)
        assert course.told.path == "/page"
        assert list(failing(course.printed).items()) == [("secrets", "Sealed")]
    await watch.ended(trial, course.mended)


@pytest.mark.parametrize("path", [*RULES, TEMPLATE], ids=lambda path: path.stem)
def test_haste_leaves_no_duration_as_it_was(path: Path) -> None:
    before = path.read_text("utf-8")
    old, new = (list(waits(yaml.safe_load(text))) for text in (before, hastened(before, FACTOR)))
    assert new == pytest.approx([wait / FACTOR for wait in old], abs=0.5)


def waits(document: Any, key: str = "") -> Iterator[int]:
    """Each duration that Prometheus or Alertmanager reads in the file, in milliseconds."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield from waits(value, name)
    elif isinstance(document, list):
        for value in document:
            yield from waits(value)
    elif WAITING.fullmatch(key):
        yield milliseconds(document)
    elif key == "expr":
        texts = re.findall(
            rf"\[[^]]+\]|\boffset {DURATION.pattern}", re.sub('"[^"]*"', "", document)
        )
        yield from (milliseconds(result) for text in texts for result in DURATION.findall(text))


@pytest.mark.parametrize(
    ("alert", "seconds"),
    [("RagSecretsDown", 120), ("RagErrorReasonSpike", 300), ("RagPeerFailing", 300 + 300)],
)
def test_a_promise_is_for_and_the_longest_window(
    tmp_path: Path, alert: str, seconds: float
) -> None:
    files = written(tmp_path / "hastened", FACTOR)
    assert promise(alert, *files).firing == pytest.approx(seconds / FACTOR)


def test_a_command_s_placeholders_are_this_machine_s() -> None:
    ports = {"gateway": 1, "embedder": 2, "retriever": 3, "generator": 4}
    page = "curl -sS http://HOST:PORT/health/ready      # PORT: 50071 gateway"
    assert runbook.filled(page, "retriever", ports).startswith("curl -sS http://127.0.0.1:3/health")
    fixed = runbook.filled("curl http://HOST:50074/metrics", "retriever", ports)
    assert fixed == "curl http://127.0.0.1:4/metrics"
