"""The platform under watch: harm is done to it, the alarm is timed, and its runbook's first command run."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from rag_local.backends.alertmanager import Alertmanager, alertmanager
from rag_local.backends.prometheus import prometheus
from tests.e2e.trusted import TrustedPlatform
from tests.support.observability import runbook
from tests.support.observability.fixtures import threaded
from tests.support.observability.haste import Promise, promise, written
from tests.support.observability.webhook import Told, Webhook, webhook
from tests.support.waiting import until

_CALM_SECONDS = 60.0

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Trial:
    """An alarm, the service that it must name, and the harm, which lasts inside its block.

    The block gives the moment from which the promise counts, in seconds of Unix time.
    """

    alert: str
    service: str
    harm: Callable[[TrustedPlatform], AbstractAsyncContextManager[float]]

    @property
    def labels(self) -> Labels:
        """Those by which the alert is known."""
        return {"alertname": self.alert, "service": self.service}


@dataclass(slots=True)
class Course:
    """What came of a trial.

    Seconds are since the harm; `resolved_after` is since mending began, at `mended`.
    """

    promise: Promise
    fired_after: float
    told: Told
    told_after: float
    printed: str
    mended: float = 0.0
    resolved_after: float = 0.0


@dataclass(slots=True)
class Watched:
    """A platform, and all that watches it.

    Every `interval` seconds its pages are read and rules weighed; its services, and who sends, are
    given `notice` seconds to see what is the matter.
    """

    trusted: TrustedPlatform
    alertmanager: Alertmanager
    webhook: Webhook
    interval: float
    notice: float
    _prometheus: httpx.AsyncClient
    _files: tuple[list[Path], Path]

    def promised(self, alert: str) -> Promise:
        """By the rules that are loaded."""
        return promise(alert, *self._files)

    def allowed(self, alert: str) -> Promise:
        """The same with what it takes to read the pages, weigh the rules, and notice at all."""
        kept = self.promised(alert)
        measured = 2 * self.interval + self.notice
        return Promise(kept.firing + measured, kept.telling + self.notice)

    async def firing(self, labels: Labels) -> bool:
        """Whether an alert with at least these labels fires."""
        return any(one["state"] == "firing" for one in await self._alerts(labels))

    async def calm(self, labels: Labels) -> None:
        """Return when no such alert is pending or firing, and every page has been read."""

        async def silent() -> bool:
            up = (await self._ask("query", query='up{job="rag"} == 1'))["result"]
            return len(up) == len(self.trusted.platform.specs) and not await self._alerts(labels)

        seconds = _CALM_SECONDS + 4 * self.interval
        ended: bool = await until(silent, f"{labels['alertname']} is silent", seconds=seconds)
        assert ended

    async def ended(self, trial: Trial, since: float) -> Told:
        """What the webhook was told of the alert's end since then."""
        result = await until(
            lambda: self.webhook.find("resolved", since, trial.labels),
            f"the end of {trial.alert} reaches the webhook",
        )
        assert result is not None
        return result

    async def first_look(self, alert: str, service: str) -> str:
        """What the first command of the alert's runbook prints, run for that service."""
        ports = {name: spec.http_port for name, spec in self.trusted.platform.specs.items()}
        command = runbook.filled(runbook.command(alert), service, ports)
        return await asyncio.to_thread(runbook.printed, command)

    async def _alerts(self, labels: Labels) -> list[dict[str, Any]]:
        result = (await self._ask("alerts"))["alerts"]
        return [one for one in result if labels.items() <= one["labels"].items()]

    async def _ask(self, endpoint: str, **parameters: str) -> Any:
        reply = await self._prometheus.get(f"/api/v1/{endpoint}", params=parameters)
        return reply.raise_for_status().json()["data"]


@asynccontextmanager
async def tried(watched: Watched, trial: Trial) -> AsyncIterator[Course]:
    """The harm is done, the alarm has come and the command was run inside; afterwards it is mended.

    Fails where the alarm does not come within what is allowed, or goes on when all is well.
    """
    await watched.calm(trial.labels)
    async with trial.harm(watched.trusted) as since:
        yield (course := await _course(watched, trial, since))
        course.mended = time.time()
    await watched.calm(trial.labels)
    course.resolved_after = time.time() - course.mended


async def _course(watched: Watched, trial: Trial, since: float) -> Course:
    allowed = watched.allowed(trial.alert)
    left = since + allowed.firing - time.time()
    fires: bool = await until(
        lambda: watched.firing(trial.labels), f"{trial.alert} fires", seconds=left
    )
    assert fires
    fired = time.time()
    reported = await until(
        lambda: watched.webhook.find("firing", since, trial.labels),
        f"{trial.alert} reaches the webhook",
        seconds=allowed.telling,
    )
    assert reported is not None
    printed = await watched.first_look(trial.alert, trial.service)
    promised = watched.promised(trial.alert)
    return Course(promised, fired - since, reported, reported.moment - since, printed)


@asynccontextmanager
async def watched(
    home: Path, trusted: TrustedPlatform, *, factor: float, interval: float, notice: float
) -> AsyncIterator[Watched]:
    """Prometheus, Alertmanager and a webhook over a platform that runs; waits divided by `factor`."""
    rules, template = written(home / "hastened", factor)
    pages = [f"127.0.0.1:{spec.http_port}" for spec in trusted.platform.specs.values()]
    async with AsyncExitStack() as stack:
        hook = await stack.enter_async_context(webhook())
        page, ticket = f"{hook.url}/page", f"{hook.url}/ticket"
        sends = await stack.enter_async_context(
            threaded(alertmanager(home, page=page, ticket=ticket, template=template))
        )
        measuring = prometheus(
            home, targets={"rag": pages}, rules=rules, alertmanager=sends.url, interval=interval
        )
        measures = await stack.enter_async_context(threaded(measuring))
        client = httpx.AsyncClient(base_url=measures.url, timeout=10.0, trust_env=False)
        await stack.enter_async_context(client)
        yield Watched(trusted, sends, hook, interval, notice, client, (rules, template))
