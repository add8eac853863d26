"""One look at a service: its metrics and its checks, or why they do not come."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag_client.observed.fetching import Fetching, Reply, Unreachable
from rag_client.observed.samples import Samples, Unreadable, samples
from rag_client.observed.targets import Target


@dataclass(frozen=True, slots=True)
class Check:
    """A named check that does not pass, and the class of its error."""

    name: str
    kind: str
    error: str


@dataclass(frozen=True, slots=True)
class Look:
    """What one service shows: `failure` says why there are no samples; `state` is its own word."""

    target: Target
    samples: Samples | None
    failure: str
    state: str
    failing: tuple[Check, ...]


async def look(
    fetch: Fetching, every: Sequence[Target], timeout: float, wanted: tuple[str, ...]
) -> list[Look]:
    """All services at once, each for `timeout` seconds at most; of metrics those that are `wanted`.

    Pages are read when all are there: to read one holds up everything else.
    """
    pages = await asyncio.gather(*(_pages(fetch, target, timeout) for target in every))
    return [_read(target, page, wanted) for target, page in zip(every, pages, strict=True)]


@dataclass(frozen=True, slots=True)
class _Pages:
    """A service's two pages, asked for at `at`; the metrics' are a sentence where they do not come."""

    at: float
    metrics: Reply | str
    state: str
    failing: tuple[Check, ...]


async def _pages(fetch: Fetching, target: Target, timeout: float) -> _Pages:
    at = time.monotonic()
    metrics, (state, failing) = await asyncio.gather(
        _metrics(fetch, target, timeout), _health(fetch, target, timeout)
    )
    return _Pages(at, metrics, state, failing)


async def _metrics(fetch: Fetching, target: Target, timeout: float) -> Reply | str:
    try:
        page = await fetch.get(f"{target.url}/metrics", timeout=timeout)
    except Unreachable as error:
        return str(error)
    return page if page.status == 200 else f"/metrics answers {page.status}"


def _read(target: Target, pages: _Pages, wanted: tuple[str, ...]) -> Look:
    page = pages.metrics
    if isinstance(page, str):
        return Look(target, None, page, pages.state, pages.failing)
    try:
        found = samples(page.body.decode(), page.media_type, pages.at, wanted)
    except (Unreadable, UnicodeDecodeError) as error:
        return Look(target, None, str(error), pages.state, pages.failing)
    return Look(target, found, "", pages.state, pages.failing)


async def _health(fetch: Fetching, target: Target, timeout: float) -> tuple[str, tuple[Check, ...]]:
    try:
        page = await fetch.get(f"{target.url}/health/ready", timeout=timeout)
        told = json.loads(page.body)
        return str(told["status"]), tuple(_failing(told.get("checks", {})))
    except Unreachable:
        return "away", ()
    except (ValueError, KeyError, TypeError, AttributeError):
        # Something else than a service of ours, as Envoy's own page is.
        return "", ()


def _failing(checks: Mapping[str, Mapping[str, Any]]) -> list[Check]:
    return [
        Check(name, str(said.get("kind", "")), str(said.get("error", "")))
        for name, said in checks.items()
        if not said.get("ok")
    ]
