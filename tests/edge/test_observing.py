"""What the edge tells of a call: its trace, its ids and one line, and nothing that was said in it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp

from rag.gateway.v1 import answer_service_pb2 as answers
from rag.gateway.v1.answer_service_pb2_grpc import AnswerServiceStub
from rag_common.context import Trace
from tests.edge.conftest import Setting, setting
from tests.waiting import until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SECRETS = ("얼룩말", "zebra", "s3cr3t")


async def line(placed: Setting, request_id: str) -> dict[str, Any]:
    """The access log's line of one call, once it is written."""

    def find() -> dict[str, Any] | None:
        lines = [json.loads(one) for one in placed.edge.access_log.read_text().splitlines()]
        found = [one for one in lines if one.get("request_id") == request_id]
        return found[0] if found else None

    found: Any = await until(find, f"the line of {request_id}")
    return dict(found)


async def test_a_trace_is_gone_on_with(placed: Setting, http: httpx.AsyncClient) -> None:
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", **placed.headers()}
    await http.get("/v1/identity", headers=headers)
    arrived = Trace.parse(placed.gateway.heard[0].metadata["traceparent"])
    assert arrived
    assert (arrived.trace_id, arrived.span_id != "00f067aa0ba902b7") == (TRACE, True)


async def test_a_trace_begins_where_there_is_none(placed: Setting, http: httpx.AsyncClient) -> None:
    reply = await http.get("/v1/identity", headers=placed.headers())
    arrived = Trace.parse(placed.gateway.heard[0].metadata["traceparent"])
    assert arrived
    told = await line(placed, reply.headers["x-request-id"])
    assert told["trace_id"] == arrived.trace_id


async def test_a_request_id_is_the_caller_s_or_made(
    placed: Setting, http: httpx.AsyncClient
) -> None:
    named = await http.get("/v1/identity", headers={"x-request-id": "o-1", **placed.headers()})
    made = await http.get("/v1/identity", headers=placed.headers())
    assert named.headers["x-request-id"] == "o-1"
    assert len(made.headers["x-request-id"]) == 36
    arrived = [heard.metadata["x-request-id"] for heard in placed.gateway.heard]
    assert arrived == ["o-1", made.headers["x-request-id"]]


async def test_a_line_says_who_called_what_and_how_it_ended(
    placed: Setting, channel: grpc.aio.Channel
) -> None:
    stub: Any = AnswerServiceStub(channel)
    metadata = (("x-request-id", "o-2"), *placed.metadata(tenant="acme", sub="kim"))
    await stub.Search(answers.SearchRequest(query="q"), metadata=metadata)
    told = await line(placed, "o-2")
    assert told["event"] == "edge_call"
    assert told["path"] == "/rag.gateway.v1.AnswerService/Search"
    assert (told["tenant"], told["subject"]) == ("acme", "kim")
    assert (told["status"], told["code"], told["protocol"]) == (200, "OK", "HTTP/2")
    assert (told["tls"], told["client"]) == ("TLSv1.3", "127.0.0.1")
    assert told["ms"] >= 0


async def test_a_refused_call_has_a_line_too(placed: Setting, http: httpx.AsyncClient) -> None:
    await http.get("/v1/identity", headers={"x-request-id": "o-3"})
    told = await line(placed, "o-3")
    assert (told["status"], told["details"]) == (401, "jwt_authn_access_denied{Jwt_is_missing}")


async def test_lines_hold_neither_queries_nor_bodies_nor_credentials(
    placed: Setting, http: httpx.AsyncClient
) -> None:
    token = placed.signer.token()
    own = {"authorization": f"Bearer {token}"}
    for headers in (own, {"authorization": "Bearer rag_s3cr3t"}, {"cookie": "s3cr3t"}):
        await http.post(
            "/v1/search?explain=zebra", json={"query": "얼룩말"}, headers={**headers, **own}
        )
        await http.post("/v1/search", content='{"query": "zebra', headers=headers)
        await http.get(f"/v1/nothing?zebra={token}", headers=headers)
    await http.get(
        f"/v1/documents?collection=zebra&access_token={token}",
        headers={"x-request-id": "last", **own},
    )
    await line(placed, "last")
    said = placed.edge.access_log.read_text() + placed.edge.log.read_text()
    assert not [secret for secret in (*SECRETS, token, token.split(".")[2]) if secret in said]


async def test_probes_have_no_lines(placed: Setting, http: httpx.AsyncClient) -> None:
    await http.get("/health/live", headers={"x-request-id": "probe"})
    await http.get("/v1/identity", headers={"x-request-id": "after"})
    await line(placed, "after")
    assert '"probe"' not in placed.edge.access_log.read_text()


@asynccontextmanager
async def collector() -> AsyncIterator[tuple[int, list[Any]]]:
    """A receiver of OTLP: its port, and the spans that came."""
    spans: list[Any] = []

    async def export(request: Any, _context: Any) -> Any:
        spans.extend(
            span
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        )
        return otlp.ExportTraceServiceResponse()

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        export,
        otlp.ExportTraceServiceRequest.FromString,
        otlp.ExportTraceServiceResponse.SerializeToString,
    )
    name = "opentelemetry.proto.collector.trace.v1.TraceService"
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(name, {"Export": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port, spans
    finally:
        await server.stop(0)


async def test_spans_go_to_the_collector_and_say_nothing_of_the_content(tmp_path: Path) -> None:
    async with (
        collector() as (port, spans),
        setting(tmp_path, otlp=f"127.0.0.1:{port}") as placed,
        placed.http() as http,
    ):
        headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", **placed.headers()}
        await http.get("/v1/documents?collection=zebra", headers=headers)
        found: Any = await until(
            lambda: [span for span in spans if span.trace_id.hex() == TRACE], "the call's span"
        )
        await until(
            lambda: [s for s in spans if s.parent_span_id.hex() == "00f067aa0ba902b7"],
            "a span below the caller's",
        )
        said = str(found)
        assert "s3cr3t" not in said
        assert headers["authorization"] not in said


async def test_metrics_have_a_port_of_their_own(tmp_path: Path) -> None:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with setting(tmp_path, metrics_port=port) as placed, placed.http() as http:
        await http.get("/v1/identity", headers=placed.headers())
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            said = (await client.get("/stats/prometheus")).text
            counted = [one for one in said.splitlines() if 'method="GetIdentity"' in one]
            assert any('service="rag_gateway_v1_AccessService"' in one for one in counted)
            for path in ("/config_dump", "/quitquitquit", "/"):
                assert (await client.get(path)).status_code == 404
            assert (await client.post("/stats/prometheus")).status_code == 404


async def test_methods_that_do_not_exist_make_no_new_metrics(placed: Setting) -> None:
    async with placed.channel() as channel:
        for n in range(20):
            call = channel.unary_unary(f"/rag.gateway.v1.AnswerService/Unknown{n}")
            await asyncio.gather(call(b"", metadata=placed.metadata()), return_exceptions=True)
    assert "Unknown" not in placed.edge.ask("/stats")
