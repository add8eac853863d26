"""Instant queries of a server with Prometheus' HTTP API."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import aiohttp

from rag_delivery.queries import QUERIES
from rag_delivery.verdicts import Readings, Series


class PrometheusUnavailable(Exception):
    """Prometheus does not answer, or refuses a query; the message says why."""


class Prometheus:
    """Reads the queries of `rag_delivery.queries` from the server at `url`."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = f"{url.rstrip('/')}/api/v1/query"

    async def read(self, names: Iterable[str], window: float) -> Readings:
        """The results of the named queries over the last `window` seconds. Raises PrometheusUnavailable."""
        names = list(names)
        series = await asyncio.gather(*(self._read(name, window) for name in names))
        return dict(zip(names, series, strict=True))

    async def _read(self, name: str, window: float) -> Series:
        query = QUERIES[name]
        return _series(await self._query(query.text(window)), query.labels)

    async def _query(self, text: str) -> list[Mapping[str, Any]]:
        try:
            async with self._session.post(self._url, data={"query": text}) as response:
                document = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise PrometheusUnavailable(f"{type(error).__name__}: {error}") from error
        if not isinstance(document, dict) or document.get("status") != "success":
            raise PrometheusUnavailable(f"{self._url} refuses: {str(document)[:200]}")
        result: list[Mapping[str, Any]] = document["data"]["result"]
        return result


def _series(result: Iterable[Mapping[str, Any]], labels: Iterable[str]) -> Series:
    """The values by lane and by the values of the labels, joined by a space."""
    labels = list(labels)
    return {
        (one["metric"].get("lane", ""), _subject(one["metric"], labels)): float(one["value"][1])
        for one in result
    }


def _subject(metric: Mapping[str, str], labels: Iterable[str]) -> str:
    return " ".join(metric.get(label, "") for label in labels)
