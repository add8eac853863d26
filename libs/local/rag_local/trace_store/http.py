"""The HTTP port of the trace store: OTLP and Tempo's query API."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)

from rag_contract.hosts import is_loopback
from rag_local.trace_store import queries
from rag_local.trace_store.codec import JSON, PROTOBUF, Malformed, decode, encode
from rag_local.trace_store.memory import Bounds, StoredTrace, Summary, TraceMemory
from rag_local.trace_store.receiver import export

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_BODIES_AT_ONCE = 4

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(traces: TraceMemory, bounds: Bounds) -> web.Application:
    """The HTTP application."""
    pages = _Pages(traces)
    routes = web.Application(client_max_size=bounds.request_bytes, middlewares=[_guarded])
    routes.router.add_post("/v1/traces", pages.export)
    routes.router.add_post("/v1/logs", pages.ignore(ExportLogsServiceResponse()))
    routes.router.add_post("/v1/metrics", pages.ignore(ExportMetricsServiceResponse()))
    routes.router.add_get("/api/traces/{id}", pages.trace)
    routes.router.add_get("/api/v2/traces/{id}", pages.trace_with_status)
    routes.router.add_get("/api/search", pages.search)
    routes.router.add_get("/api/echo", _echo)
    routes.router.add_get("/ready", _ready)
    routes.router.add_get("/status", pages.status)
    return routes


class _Pages:
    def __init__(self, traces: TraceMemory) -> None:
        self._traces = traces
        # Bodies are decoded in memory, so their number is limited.
        self._bodies = asyncio.Semaphore(_BODIES_AT_ONCE)

    async def export(self, request: web.Request) -> web.Response:
        media_type = _media_type(request)
        async with self._bodies:
            message = decode(await request.read(), media_type)
            response = export(self._traces, message)
        return web.Response(body=encode(response, media_type), content_type=media_type)

    def ignore(self, response: Message) -> Handler:
        """A handler that discards the request and reports success."""

        async def handle(request: web.Request) -> web.Response:
            media_type = _media_type(request)
            async with self._bodies:
                await request.read()
            return web.Response(body=encode(response, media_type), content_type=media_type)

        return handle

    async def trace(self, request: web.Request) -> web.Response:
        stored = self._find(request)
        # An incomplete trace is 206, as in Tempo.
        status = 206 if stored.lost else 200
        if "protobuf" in request.headers.get("accept", ""):
            body = stored.data.SerializeToString()
            return web.Response(body=body, status=status, content_type="application/protobuf")
        return _json({"batches": _groups(stored)}, status)

    async def trace_with_status(self, request: web.Request) -> web.Response:
        stored = self._find(request)
        partial = {"status": "PARTIAL", "message": f"{stored.lost} spans were dropped"}
        trace = {"resourceSpans": _groups(stored)}
        return _json({"trace": trace, "metrics": {}, **(partial if stored.lost else {})})

    async def search(self, request: web.Request) -> web.Response:
        summaries = self._traces.latest(
            queries.limit(request.query), queries.trace_filter(request.query)
        )
        return _json({"traces": list(map(_summary_json, summaries)), "metrics": {}})

    async def status(self, _request: web.Request) -> web.Response:
        dropped = self._traces.dropped
        return _json(
            {
                "spans": self._traces.spans,
                "droppedTraces": dropped.traces,
                "droppedSpans": dropped.spans,
            }
        )

    def _find(self, request: web.Request) -> StoredTrace:
        stored = self._traces.find(queries.trace_id(request.match_info["id"]))
        if stored is None:
            raise web.HTTPNotFound(text="trace not found", headers=_HEADERS)
        return stored


@web.middleware
async def _guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    # The Host header is checked against DNS rebinding by pages in a browser.
    if not is_loopback(request.url.host or ""):
        return web.Response(
            status=403, text="only loopback addresses and localhost are allowed", headers=_HEADERS
        )
    try:
        return await handler(request)
    except Malformed as error:
        return web.Response(status=400, text=str(error), headers=_HEADERS)


async def _ready(_request: web.Request) -> web.Response:
    return web.Response(text="ready\n", headers=_HEADERS)


async def _echo(_request: web.Request) -> web.Response:
    return web.Response(text="echo", headers=_HEADERS)


def _media_type(request: web.Request) -> str:
    if request.content_type not in (JSON, PROTOBUF):
        raise web.HTTPUnsupportedMediaType(text=f"{PROTOBUF} or {JSON}", headers=_HEADERS)
    return request.content_type


def _groups(stored: StoredTrace) -> list[Any]:
    document = json_format.MessageToDict(stored.data)
    groups: list[Any] = document.get("resourceSpans", [])
    return groups


def _summary_json(summary: Summary) -> dict[str, Any]:
    return {
        "traceID": summary.trace_id,
        "rootServiceName": summary.service,
        "rootTraceName": summary.name,
        "startTimeUnixNano": str(summary.start),
        "durationMs": max(0, summary.end - summary.start) // 1_000_000,
    }


def _json(document: Any, status: int = 200) -> web.Response:
    text = json.dumps(document, ensure_ascii=False)
    return web.json_response(text=text, status=status, headers=_HEADERS)
