"""Scrape a service: its metrics and its health checks, or why it did not answer."""

import asyncio
import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from rag_cli.observe.http_client import HttpClient, Response, Unreachable
from rag_cli.observe.samples import Samples, Unreadable, samples

_PORTS = {
    "gateway": 50071,
    "embedder": 50072,
    "retriever": 50073,
    "generator": 50074,
    "ingestor": 50077,
}
_NAMED = re.compile(r"(?:(?P<name>[\w.-]+)=)?(?P<url>https?://.+)")


@dataclass(frozen=True, slots=True)
class Target:
    """A service and the root URL of its HTTP port."""

    name: str
    url: str


def parse_targets(values: Iterable[str]) -> list[Target]:
    """Parse `service=http://host:port`, where `service=` is optional; without values, the services here.

    Raises ValueError for an invalid value.
    """
    parts = [part for text in values for part in text.replace(",", " ").split()]
    return [_target(text) for text in parts] or [
        Target(name, f"http://127.0.0.1:{port}") for name, port in _PORTS.items()
    ]


def _target(text: str) -> Target:
    match = _NAMED.fullmatch(text)
    try:
        url = urlsplit(match["url"] if match else "")
        # Reading the port validates it.
        host, port = url.hostname, url.port
    except ValueError:
        host, port = None, None
    if not match or not host:
        raise ValueError(f"{text!r} is not service=http://host:port")
    return Target(match["name"] or f"{host}:{port or 80}", match["url"].rstrip("/"))


# The state of a service that does not answer.
UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """A failed check of a health page: its name, its kind, and its error."""

    name: str
    kind: str
    error: str


@dataclass(frozen=True, slots=True)
class Scrape:
    """The result for one service: `failure` is the reason if there are no samples, `state` its health."""

    target: Target
    samples: Samples | None
    failure: str
    state: str
    failing: tuple[FailedCheck, ...]


async def scrape(
    client: HttpClient, targets: Sequence[Target], timeout: float, prefixes: tuple[str, ...]
) -> list[Scrape]:
    """Scrape all services concurrently, each with a timeout in seconds; metrics by name prefix.

    Pages are parsed after all have arrived, because parsing blocks the event loop.
    """
    pages = await asyncio.gather(*(_pages(client, target, timeout) for target in targets))
    return [_read(target, page, prefixes) for target, page in zip(targets, pages, strict=True)]


@dataclass(frozen=True, slots=True)
class _Pages:
    """A service's two pages, requested at `at`; `metrics` is an error message if its page failed."""

    at: float
    metrics: Response | str
    state: str
    failing: tuple[FailedCheck, ...]


async def _pages(client: HttpClient, target: Target, timeout: float) -> _Pages:
    at = time.monotonic()
    metrics, (state, failing) = await asyncio.gather(
        _metrics(client, target, timeout), health(client, target, timeout)
    )
    return _Pages(at, metrics, state, failing)


async def _metrics(client: HttpClient, target: Target, timeout: float) -> Response | str:
    try:
        page = await client.get(f"{target.url}/metrics", timeout=timeout)
    except Unreachable as error:
        return str(error)
    return page if page.status == 200 else f"/metrics answers {page.status}"


def _read(target: Target, pages: _Pages, prefixes: tuple[str, ...]) -> Scrape:
    page = pages.metrics
    if isinstance(page, str):
        return Scrape(target, None, page, pages.state, pages.failing)
    try:
        scraped = samples(page.body.decode(), page.media_type, pages.at, prefixes)
    except (Unreadable, UnicodeDecodeError) as error:
        return Scrape(target, None, str(error), pages.state, pages.failing)
    return Scrape(target, scraped, "", pages.state, pages.failing)


async def health(
    client: HttpClient, target: Target, timeout: float
) -> tuple[str, tuple[FailedCheck, ...]]:
    """The service's state and failed checks; UNAVAILABLE if it does not answer, "" if it is unknown."""
    try:
        page = await client.get(f"{target.url}/health/ready", timeout=timeout)
        health_page = json.loads(page.body)
        return str(health_page["status"]), tuple(_failing(health_page.get("checks", {})))
    except Unreachable:
        return UNAVAILABLE, ()
    except (ValueError, KeyError, TypeError, AttributeError):
        # Not a service of the platform, for example Envoy.
        return "", ()


def _failing(checks: Mapping[str, Mapping[str, Any]]) -> list[FailedCheck]:
    return [
        FailedCheck(name, str(check.get("kind", "")), str(check.get("error", "")))
        for name, check in checks.items()
        if not check.get("ok")
    ]
