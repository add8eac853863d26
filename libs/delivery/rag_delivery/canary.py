"""Analyses a canary and sets the shares of calls: `python -m rag_delivery.canary CONFIG.toml`.

Exits with 0 if the release was promoted, 1 if it was rolled back, 2 if the configuration is invalid, and
143 if a signal ended it before.
"""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from rag_common.aio import periodic
from rag_common.http.pages import Page, serve_http
from rag_common.observability import logging
from rag_common.observability.metrics import Metrics
from rag_common.settings import SettingsInvalid
from rag_delivery.analysis import Analysis
from rag_delivery.config import CanaryConfig
from rag_delivery.lanes import Lanes
from rag_delivery.metrics import CanaryMetrics
from rag_delivery.probe import Probe
from rag_delivery.prometheus import Prometheus
from rag_delivery.release import Outcome, Release

log = structlog.get_logger()

# A judgement waits no longer for Prometheus.
_TIMEOUT = aiohttp.ClientTimeout(total=5)
_EXIT_CODES = {Outcome.PROMOTED: 0, Outcome.ROLLED_BACK: 1, None: 128 + signal.SIGTERM}


def main() -> int:
    """Run the analysis that the file in the first argument configures; return the exit code."""
    logging.configure("canary")
    try:
        config = CanaryConfig.load(Path(sys.argv[1]))
    except SettingsInvalid as error:
        sys.stderr.write(f"{error}\n")
        return 2
    try:
        outcome = asyncio.run(_until_stopped(config))
    finally:
        logging.close()
    return _EXIT_CODES[outcome]


async def _until_stopped(config: CanaryConfig) -> Outcome | None:
    """Run the analysis; None if SIGTERM or SIGINT ends it before it has an outcome."""
    task = asyncio.ensure_future(run(config))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        return await task
    log.warning("canary_stopped")
    return None


async def run(config: CanaryConfig) -> Outcome:
    """Serve the weights and run the release; return `linger_seconds` after its end."""
    metrics = Metrics("canary", version("rag-platform"))
    metrics.ready.set(1)
    own = CanaryMetrics(metrics)
    lanes = Lanes(own)
    probe = Probe(config.probe, config.probe_timeout)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=_TIMEOUT))
        analysis = Analysis(Prometheus(session, config.prometheus), probe, config)
        release = Release(config, analysis, lanes, own)
        port = await stack.enter_async_context(_serving(config, metrics, release))
        if probe.command:
            await stack.enter_async_context(
                periodic(probe.run, config.probe_interval, immediately=True)
            )
        log.info("canary_listening", port=port)
        outcome = await release.run()
        _report(config.report, release)
        await asyncio.sleep(config.linger_seconds)
    return outcome


def _serving(
    config: CanaryConfig, metrics: Metrics, release: Release
) -> contextlib.AbstractAsyncContextManager[int]:
    async def status() -> Page:
        return Page(json.dumps(_status(release)).encode())

    async def decide(document: Mapping[str, Any]) -> Page:
        try:
            release.decision = Outcome(str(document.get("decision")))
        except ValueError:
            return Page(b'{"error": "decision must be promoted or rolled_back"}\n', 400)
        return await status()

    pages = {"/weights": release.lanes.page, "/status": status, "/health/live": status}
    return serve_http(config.host, config.port, {**metrics.pages(), **pages}, {"/decision": decide})


def _status(release: Release) -> dict[str, Any]:
    return {
        "state": release.state,
        "reason": release.reason,
        "weights": release.lanes.weights,
        "judgements": [asdict(one) for one in release.judgements],
    }


def _report(path: str, release: Release) -> None:
    """Write the result to the file; Kubernetes shows the first 4096 bytes of a termination log."""
    if path:
        document = {"state": release.state, "reason": release.reason}
        Path(path).write_text(json.dumps(document), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
