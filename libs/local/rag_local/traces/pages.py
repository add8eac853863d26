"""The HTTP port of the trace store: OTLP in, Tempo's API out."""

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

from rag_local.traces import asked
from rag_local.traces.bounds import Bounds
from rag_local.traces.kept import Kept, Summary, Traces
from rag_local.traces.receiving import taken
from rag_local.traces.wire import JSON, PROTOBUF, Malformed, decoded, encoded

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_HOSTS = ("127.0.0.1", "localhost")
_BODIES_AT_ONCE = 4

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(kept: Traces, bounds: Bounds) -> web.Application:
    """Everything that the HTTP port answers."""
    pages = _Pages(kept)
    made = web.Application(client_max_size=bounds.request_bytes, middlewares=[_guarded])
    made.router.add_post("/v1/traces", pages.take)
    made.router.add_post("/v1/logs", pages.ignore(ExportLogsServiceResponse()))
    made.router.add_post("/v1/metrics", pages.ignore(ExportMetricsServiceResponse()))
    made.router.add_get("/api/traces/{id}", pages.trace)
    made.router.add_get("/api/v2/traces/{id}", pages.trace_with_status)
    made.router.add_get("/api/search", pages.search)
    made.router.add_get("/api/echo", _echo)
    made.router.add_get("/ready", _ready)
    made.router.add_get("/status", pages.status)
    return made


class _Pages:
    def __init__(self, kept: Traces) -> None:
        self._kept = kept
        # Bodies are unpacked whole, so only so many are at a time.
        self._turns = asyncio.Semaphore(_BODIES_AT_ONCE)

    async def take(self, request: web.Request) -> web.Response:
        media_type = _media_type(request)
        async with self._turns:
            message = decoded(await request.read(), media_type)
            response = taken(self._kept, message)
        return web.Response(body=encoded(response, media_type), content_type=media_type)

    def ignore(self, response: Message) -> Handler:
        """Takes what comes, and says that it went well."""

        async def handle(request: web.Request) -> web.Response:
            media_type = _media_type(request)
            async with self._turns:
                await request.read()
            return web.Response(body=encoded(response, media_type), content_type=media_type)

        return handle

    async def trace(self, request: web.Request) -> web.Response:
        found = self._found(request)
        # What is not the whole trace is 206, with Tempo too.
        status = 206 if found.lost else 200
        if "protobuf" in request.headers.get("accept", ""):
            body = found.data.SerializeToString()
            return web.Response(body=body, status=status, content_type="application/protobuf")
        return _json({"batches": _groups(found)}, status)

    async def trace_with_status(self, request: web.Request) -> web.Response:
        found = self._found(request)
        partial = {"status": "PARTIAL", "message": f"{found.lost} spans found no room"}
        trace = {"resourceSpans": _groups(found)}
        return _json({"trace": trace, "metrics": {}, **(partial if found.lost else {})})

    async def search(self, request: web.Request) -> web.Response:
        found = self._kept.latest(asked.most(request.query), asked.choice(request.query))
        return _json({"traces": list(map(_listed, found)), "metrics": {}})

    async def status(self, _request: web.Request) -> web.Response:
        dropped = self._kept.dropped
        return _json(
            {
                "spans": self._kept.spans,
                "droppedTraces": dropped.traces,
                "droppedSpans": dropped.spans,
            }
        )

    def _found(self, request: web.Request) -> Kept:
        found = self._kept.find(asked.trace_id(request.match_info["id"]))
        if found is None:
            raise web.HTTPNotFound(text="trace not found", headers=_HEADERS)
        return found


@web.middleware
async def _guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    # A page in a browser may reach loopback, under a name of its own that leads here.
    if request.url.host not in _HOSTS:
        return web.Response(status=403, text="this is for 127.0.0.1 alone", headers=_HEADERS)
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


def _groups(found: Kept) -> list[Any]:
    written = json_format.MessageToDict(found.data)
    groups: list[Any] = written.get("resourceSpans", [])
    return groups


def _listed(summary: Summary) -> dict[str, Any]:
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
