"""Checks of a platform on this machine: the services' health pages, and free disk space."""

import asyncio
import http.client
import json
import shutil
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rag_cli.diagnosis.checks import Address, Check
from rag_cli.diagnosis.network import reason
from rag_cli.observe.http_client import http_client
from rag_cli.observe.scrape import UNAVAILABLE, FailedCheck, Target, health, parse_targets

_GIB = 2**30
_LOW_BYTES = 5 * _GIB
_FULL_BYTES = _GIB

# The states of a health page in which the service answers calls.
_SERVES = ("serving", "degraded")

_Health = tuple[str, tuple[FailedCheck, ...]]


def service_checks(pages: Sequence[str], timeout: float) -> Iterator[Check]:
    """Each service by its health page: the named ones, or those of this machine if one of them answers."""
    try:
        targets = parse_targets(pages)
    except ValueError as error:
        yield Check("services", "failure", str(error), "see RAG_METRICS_URLS")
        return
    states = asyncio.run(_healths(targets, timeout))
    if not pages and all(state in (UNAVAILABLE, "") for state, _ in states):
        return
    for target, (state, failing) in zip(targets, states, strict=True):
        yield _service_check(target, state, failing)


def disk_check(home: Path) -> Check:
    """The free space of the disk that holds the platform's folder."""
    if not home.is_dir():
        return Check(
            "disk", "skipped", f"the platform's folder {home.absolute()} does not exist here"
        )
    usage = shutil.disk_usage(home)
    detail = f"{usage.free / _GIB:,.1f} of {usage.total / _GIB:,.1f} GiB free at {home.absolute()}"
    advice = "free disk space: without it no document can be ingested"
    if usage.free < _FULL_BYTES:
        return Check("disk", "failure", detail, advice)
    if usage.free < _LOW_BYTES:
        return Check("disk", "warning", detail, advice)
    return Check("disk", "ok", detail)


async def _healths(targets: list[Target], timeout: float) -> list[_Health]:
    async with http_client() as client:
        return await asyncio.gather(*(health(client, target, timeout) for target in targets))


def _service_check(target: Target, state: str, failing: tuple[FailedCheck, ...]) -> Check:
    name = f"service {target.name}"
    broken = ", ".join(f"{check.name} ({check.error})" for check in failing)
    if state == UNAVAILABLE:
        return Check(name, "failure", f"nothing answers at {target.url}", "start it; see its log")
    if state not in _SERVES:
        detail = f"{state or 'unknown'}: {broken or 'no failed check'}"
        return Check(name, "failure", detail, "see its log")
    if broken:
        return Check(name, "warning", f"serving without {broken}", "see the log of what is missing")
    return Check(name, "ok", "serving")


_PATH = "/health/ready"
_MAX_BYTES = 64 * 1024


def edge_check(address: Address, authorities: Path | None, timeout: float) -> Check:
    """Whether the gateways behind the edge are ready; skipped if there is no edge."""
    context = ssl.create_default_context(cafile=authorities)
    connection = http.client.HTTPSConnection(
        address.host, address.port, timeout=timeout, context=context
    )
    try:
        connection.request("GET", _PATH)
        response = connection.getresponse()
        status, body = response.status, response.read(_MAX_BYTES)
    except (OSError, http.client.HTTPException) as error:
        why = reason(error) if isinstance(error, OSError) else type(error).__name__
        return Check("edge", "skipped", f"none: the port serves gRPC only ({why})")
    finally:
        connection.close()
    if status == 200:
        return Check("edge", "ok", f"serves JSON over HTTPS too; {_PATH} reports a ready gateway")
    if status == 503:
        detail = f"{_PATH} answers 503; failing: {_failing(body) or 'unknown'}"
        return Check("edge", "failure", detail, "see rag top and the services' logs")
    return Check("edge", "skipped", f"HTTPS is served, and {_PATH} answers {status}")


def _failing(body: bytes) -> str:
    try:
        checks: Any = json.loads(body)["checks"]
        return ", ".join(name for name, check in checks.items() if not check["ok"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
