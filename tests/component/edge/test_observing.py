"""What the edge tells of a call: its trace, its ids and one line, and nothing that was said in it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc
import httpx

from rag.gateway.v1 import answer_service_pb2 as answers
from rag.gateway.v1.answer_service_pb2_grpc import AnswerServiceStub
from rag_local.program import free_port
from tests.support.edge.fixtures import Setting, setting
from tests.support.receiver import by_grpc
from tests.support.waiting import until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SECRETS = ("얼룩말", "zebra", "s3cr3t")


async def line(placed: Setting, request_id: str) -> dict[str, Any]:
    """The access log's line of one call, once it is written."""

    def find() -> dict[str, Any] | None:
        lines = [json.loads(one) for one in placed.edge.access_log.read_text().splitlines()]
        result = [one for one in lines if one.get("request_id") == request_id]
        return result[0] if result else None

    result: Any = await until(find, f"the line of {request_id}")
    return dict(result)


async def test_a_trace_is_continued_or_begun(placed: Setting, http: httpx.AsyncClient) -> None:
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", **placed.headers()}
    await http.get("/v1/identity", headers=headers)
    reply = await http.get("/v1/identity", headers=placed.headers())
    continued, begun = (heard.metadata["traceparent"].split("-") for heard in placed.gateway.heard)
    assert (continued[1], continued[2] != "00f067aa0ba902b7") == (TRACE, True)
    assert (await line(placed, reply.headers["x-request-id"]))["trace_id"] == begun[1] != TRACE


async def test_a_request_id_is_the_caller_s_or_made(
    placed: Setting, http: httpx.AsyncClient
) -> None:
    named = await http.get("/v1/identity", headers={"x-request-id": "o-1", **placed.headers()})
    created = await http.get("/v1/identity", headers=placed.headers())
    assert named.headers["x-request-id"] == "o-1"
    assert len(created.headers["x-request-id"]) == 36
    arrived = [heard.metadata["x-request-id"] for heard in placed.gateway.heard]
    assert arrived == ["o-1", created.headers["x-request-id"]]


async def test_a_line_says_who_called_what_and_how_it_ended(
    placed: Setting, channel: grpc.aio.Channel
) -> None:
    stub: Any = AnswerServiceStub(channel)
    metadata = (("x-request-id", "o-2"), *placed.metadata(tenant="acme", sub="kim"))
    await stub.Search(answers.SearchRequest(query="q"), metadata=metadata)
    reported = await line(placed, "o-2")
    assert reported["event"] == "edge_call"
    assert reported["path"] == "/rag.gateway.v1.AnswerService/Search"
    assert (reported["tenant"], reported["subject"]) == ("acme", "kim")
    assert (reported["status"], reported["code"], reported["protocol"]) == (200, "OK", "HTTP/2")
    assert (reported["tls"], reported["client"]) == ("TLSv1.3", "127.0.0.1")
    assert reported["ms"] >= 0


async def test_a_refused_call_has_a_line_too(placed: Setting, http: httpx.AsyncClient) -> None:
    await http.get("/v1/identity", headers={"x-request-id": "o-3"})
    reported = await line(placed, "o-3")
    assert (reported["status"], reported["details"]) == (
        401,
        "jwt_authn_access_denied{Jwt_is_missing}",
    )


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
    output = placed.edge.access_log.read_text() + placed.edge.log.read_text()
    assert not [secret for secret in (*SECRETS, token, token.split(".")[2]) if secret in output]


async def test_probes_have_no_lines(placed: Setting, http: httpx.AsyncClient) -> None:
    await http.get("/health/live", headers={"x-request-id": "probe"})
    await http.get("/v1/identity", headers={"x-request-id": "after"})
    await line(placed, "after")
    assert '"probe"' not in placed.edge.access_log.read_text()


async def test_spans_go_to_the_collector_and_say_nothing_of_the_content(tmp_path: Path) -> None:
    with by_grpc() as receiver:
        target = receiver.url.removeprefix("http://")
        async with setting(tmp_path, otlp=target) as placed, placed.http() as http:
            headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", **placed.headers()}
            # Envoy sends spans by fives, or after five seconds.
            for _ in range(5):
                await http.get("/v1/documents?collection=zebra", headers=headers)

            def below_the_callers() -> bool:
                spans = receiver.spans("rag-edge")
                own = [span for span in spans if span.trace_id.hex() == TRACE]
                return any(span.parent_span_id.hex() == "00f067aa0ba902b7" for span in own)

            await until(below_the_callers, "a span below the caller's")
        assert headers["authorization"].encode() not in receiver.bytes()


async def test_metrics_have_a_port_of_their_own(tmp_path: Path) -> None:
    port = free_port()
    async with setting(tmp_path, metrics_port=port) as placed, placed.http() as http:
        await http.get("/v1/identity", headers=placed.headers())
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            page = (await client.get("/stats/prometheus")).text
            counted = [one for one in page.splitlines() if 'method="GetIdentity"' in one]
            assert any('service="rag_gateway_v1_AccessService"' in one for one in counted)
            for path in ("/config_dump", "/quitquitquit", "/"):
                assert (await client.get(path)).status_code == 404
            assert (await client.post("/stats/prometheus")).status_code == 404


async def test_the_region_is_in_log_lines_metrics_and_traces(tmp_path: Path) -> None:
    port = free_port()
    with by_grpc() as receiver:
        target = receiver.url.removeprefix("http://")
        changes = {"region": "eu-1", "metrics_port": port, "otlp": target}
        async with setting(tmp_path, **changes) as placed, placed.http() as http:
            for number in range(5):
                named = {"x-request-id": f"region-{number}", **placed.headers()}
                await http.get("/v1/identity", headers=named)
            assert (await line(placed, "region-1"))["region"] == "eu-1"
            async with httpx.AsyncClient() as client:
                page = (await client.get(f"http://127.0.0.1:{port}/stats/prometheus")).text
            # What Envoy counts of its own log files has no labels at all.
            own = ("envoy_cluster_", "envoy_http_", "envoy_listener_", "envoy_server_")
            samples = [one for one in page.splitlines() if one.startswith(own)]
            assert samples
            assert not [one for one in samples if 'region="eu-1"' not in one]
            resource = await until(lambda: receiver.resource("rag-edge"), "spans have arrived")
        assert resource["cloud.region"] == "eu-1"


async def test_methods_that_do_not_exist_make_no_new_metrics(placed: Setting) -> None:
    async with placed.channel() as channel:
        for n in range(20):
            call = channel.unary_unary(f"/rag.gateway.v1.AnswerService/Unknown{n}")
            await asyncio.gather(call(b"", metadata=placed.metadata()), return_exceptions=True)
    assert "Unknown" not in placed.edge.admin_request("/stats")
