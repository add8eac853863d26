"""The whole platform behind the edge: real answers by JSON, gRPC and k6, and gateways that come and go."""

import asyncio
import base64
import json
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import pytest
import pytest_asyncio
from typer.testing import CliRunner

from rag_cli.main import app as rag
from rag_contract.document_ids import ENGLISH
from rag_contract.errors import NotFound
from rag_contract.status import from_rpc_error
from rag_edge.render import DESCRIPTORS
from rag_local.backends.envoy import edge
from rag_local.service_processes import ServiceSpec
from tests.component.edge.test_grpc import run
from tests.component.edge.test_json import reasons
from tests.component.edge.test_upstream import healthy, load
from tests.e2e.callers import Caller
from tests.e2e.platform import Platform
from tests.support.edge.fixtures import QUIET, Setting
from tests.support.edge.gateway import Gateway
from tests.support.parts import prepared_models, tool
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
QUESTION = "연차휴가는 며칠까지 이월할 수 있나요?"
K6 = tool("k6", "make test")
# As the services do in a cluster: longer than the edge takes to notice.
DRAIN = {"GATEWAY_DRAIN_DELAY": "2"}


class Issuer:
    """Signs as the platform does."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def token(self, tenant: str = "samples", **claims: Any) -> str:
        return self._platform.token(tenant, **claims)


class Twin(Platform):
    """The platform with a second gateway."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        super().__init__(home, environment)
        with ExitStack() as stack:
            sockets = [stack.enter_context(closing(socket.socket())) for _ in range(3)]
            for one in sockets:
                one.bind(("127.0.0.1", 0))
            ports = [one.getsockname()[1] for one in sockets]
        self.specs["second"] = ServiceSpec("gateway", *ports)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    """All services with two gateways, which share the other three."""
    home = tmp_path_factory.mktemp("platform")
    environment = {"EMBEDDER_MODELS_DIR": str(prepared_models())}
    with Twin(home, {**environment, **DRAIN}) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def front(platform: Twin, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Setting]:
    """The edge before both, and the sample documents in."""
    specs = [platform.specs[name] for name in ("gateway", "second")]
    values = replace(
        QUIET,
        gateways=[f"127.0.0.1:{spec.port}" for spec in specs],
        pages=[f"127.0.0.1:{spec.http_port}" for spec in specs],
        health_interval="0.5s",
    )
    with edge(tmp_path_factory.mktemp("front"), values) as started:
        created = Setting(started, Gateway(), Issuer(platform))  # type: ignore[arg-type]
        await until(lambda: ready(created), "the edge passes calls on")
        async with created.channel() as channel:
            caller = Caller(channel, platform.token("samples"))
            for path in sorted(SAMPLES.joinpath("ko").iterdir()):
                await caller.ingest(f"ko/{path.name}", path.read_bytes(), filename=path.name)
        yield created


async def ready(made: Setting) -> bool:
    async with made.http() as http:
        reply = await http.get("/v1/capabilities", headers=made.headers())
        return reply.status_code == 200 and (await http.get("/health/ready")).status_code == 200


async def test_a_question_is_answered_over_json(front: Setting) -> None:
    async with front.http(http2=True) as http:
        reply = await http.post("/v1/answer", json={"query": QUESTION}, headers=front.headers())
        assert reply.status_code == 200, reply.text
        found = reply.json()
        assert found["citations"][0]["documentId"].startswith("ko/")
        assert len(found["traceId"]) == 32
        path = f"/v1/collections/default/documents/{found['citations'][0]['documentId']}"
        read = await http.get(path.replace("ko/", "ko%2F"), headers=front.headers())
        assert read.json()["document"]["documentId"] == found["citations"][0]["documentId"]


async def test_the_client_library_works_through_the_edge(front: Setting, platform: Twin) -> None:
    async with front.channel() as channel:
        caller = Caller(channel, platform.token("t-edge"))
        await caller.upload("big", b"word " * 2000, piece=1000)
        assert (await caller.get("big")).document_id == "big"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await caller.get("none")
    assert isinstance(from_rpc_error(caught.value), NotFound)


async def test_the_doctor_finds_all_well_through_the_edge(
    front: Setting, platform: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without these it would look at the ports of `make run`, which another worker may be using.
    pages = (f"{name}=http://127.0.0.1:{spec.http_port}" for name, spec in platform.specs.items())
    monkeypatch.setenv("RAG_METRICS_URLS", " ".join(pages))
    result = await doctor(front, monkeypatch, platform.token("samples"))
    assert {check["name"] for check in result.values()} >= {
        f"service {name}" for name in platform.specs
    }
    assert {
        name: check["detail"] for name, check in result.items() if check["status"] != "ok"
    } == {}
    assert "tenant samples" in result["identity"]["detail"]
    assert "localhost" in result["gateway's certificate"]["detail"]
    assert "SERVING" in result["health"]["detail"]
    assert "ready" in result["edge"]["detail"]


async def doctor(
    front: Setting, monkeypatch: pytest.MonkeyPatch, token: str
) -> dict[str, dict[str, str]]:
    """The checks of `rag doctor` by name."""
    monkeypatch.setenv("RAG_CA_FILE", str(front.edge.ca))
    monkeypatch.setenv("RAG_HOME", str(front.edge.folder))
    words = ["doctor", "--json", "--target", f"localhost:{front.edge.port}", "--token", token]
    result = await asyncio.to_thread(CliRunner().invoke, rag, words)
    return {check["name"]: check for check in json.loads(result.stdout)["checks"]}


async def test_the_trace_of_an_error_over_json_is_in_the_gateway_s_log(
    front: Setting, platform: Twin
) -> None:
    async with front.http() as http:
        reply = await http.post("/v1/search", json={"query": ""}, headers=front.headers())
    assert reply.status_code == 400
    trace = reasons(reply)["RequestInfo"]["servingData"].removeprefix("trace_id=")
    await until(
        lambda: (
            platform.calls("gateway", trace_id=trace) or platform.calls("second", trace_id=trace)
        ),
        "the line of the refused call",
    )


SCRIPT = """
import grpc from 'k6/net/grpc';
import { check } from 'k6';
const client = new grpc.Client();
client.loadProtoset(__ENV.DESCRIPTORS);
export const options = {
  vus: 4, iterations: 200, thresholds: { checks: ['rate==1.0'] },
  tlsAuth: [], insecureSkipTLSVerify: true,
};
export default () => {
  if (__ITER === 0) client.connect(__ENV.TARGET, { timeout: '5s' });
  const reply = client.invoke('rag.gateway.v1.AnswerService/Search', { query: '연차휴가 이월' },
    { metadata: { authorization: __ENV.TOKEN }, timeout: '20s' });
  check(reply, { 'found': (r) => r && r.status === grpc.StatusOK && r.message.passages.length > 0 });
};
"""


async def test_k6_finds_everything_it_asks_for(
    front: Setting, tmp_path: Path, record_testsuite_property: Any
) -> None:
    script, summary = tmp_path / "search.js", tmp_path / "summary.json"
    script.write_text(SCRIPT)
    inputs = {
        "TARGET": f"localhost:{front.edge.port}",
        "TOKEN": front.headers()["authorization"],
        "DESCRIPTORS": str(DESCRIPTORS),
    }
    environment = [word for name, value in inputs.items() for word in ("-e", f"{name}={value}")]
    code, out, err = await run(
        *(K6, "run", "--quiet", "--no-usage-report", "--summary-export", str(summary)),
        *(*environment, str(script)),
    )
    assert code == 0, out + err
    took = json.loads(summary.read_text())["metrics"]["grpc_req_duration"]
    record_testsuite_property("k6 search ms", f"p50 {took['med']:.0f}, p95 {took['p(95)']:.0f}")


async def test_a_document_of_any_id_comes_and_goes_over_json(
    front: Setting, platform: Twin
) -> None:
    """That each id reaches the gateway by its path is tried in tests/component/edge/test_json.py."""
    headers = {"authorization": f"Bearer {platform.token('t-ids')}"}
    body = {"content": base64.b64encode("창고 열쇠는 경비실에 있다.".encode()).decode()}
    folder = "/v1/collections/default/documents"
    async with front.http(http2=True, headers=headers) as http:
        for name in ("/a/../문서:check", "100%", "가" * 170):
            reply = await http.post(folder, json={**body, "document": {"documentId": name}})
            assert reply.json()["document"]["documentId"] == name
            path = f"{folder}/{quote(name, safe='')}"
            [passage] = (await http.get(f"{path}/passages")).json()["passages"]
            assert passage["documentId"] == name
            assert (await http.delete(path)).json() == {"deletedPassages": 1}
            assert (await http.get(path)).status_code == 404
        refusal = await http.post(folder, json={**body, "document": {"documentId": ".."}})
        [violation] = reasons(refusal)["BadRequest"]["fieldViolations"]
        assert (refusal.status_code, violation["description"]) == (400, ENGLISH)
        refusal = await http.get(f"{folder}/%FF%FE")
        assert refusal.status_code == 400
        assert reasons(refusal)["ErrorInfo"]["reason"] == "MESSAGE_MALFORMED"


@pytest.mark.parametrize("size", [1_500_000, 30_000_000])
async def test_a_body_over_any_limit_is_413(front: Setting, size: int) -> None:
    path, body = "/v1/collections/default/documents", {"content": "x" * size}
    async with front.http() as http:
        reply = await http.post(path, json=body, headers=front.headers())
    assert reply.status_code == 413, reply.text
    assert (reply.json()["code"], reasons(reply)["ErrorInfo"]["reason"]) == (8, "MESSAGE_TOO_LARGE")


@pytest.mark.parametrize("how", ["drained", pytest.param("killed", marks=pytest.mark.long)])
async def test_gateways_restarted_one_after_the_other_fail_no_read(
    front: Setting, platform: Twin, how: str, record_testsuite_property: Any
) -> None:
    async with load(front, callers=4) as done:
        for name in ("gateway", "second"):
            before = done.answered
            end = platform.stop if how == "drained" else platform.kill
            await asyncio.to_thread(end, name)
            await until(lambda before=before: done.answered > before + 100, "calls without it")
            await asyncio.to_thread(platform.revive)
            await until(lambda: healthy(front) == 2, "it is back")
    retries = front.edge.stat("cluster.gateway.upstream_rq_retry")
    figures = f"{done.answered} reads, {len(done.failures)} failed, {retries} retries so far, "
    record_testsuite_property(f"restart {how}", f"{figures}slowest {done.slowest * 1000:.0f} ms")
    assert not done.failures


async def test_the_edge_outlives_its_gateways_and_finds_them_again(
    front: Setting, platform: Twin
) -> None:
    for name in ("gateway", "second"):
        platform.signal(name, signal.SIGKILL)
    async with front.http() as http:

        async def gone() -> bool:
            return (await http.get("/health/ready")).status_code == 503

        await until(gone, "the edge says that it is not ready")
        assert (await http.get("/health/live")).status_code == 200
        reply = await http.get("/v1/identity", headers=front.headers())
        assert reasons(reply)["ErrorInfo"]["reason"] == "DEPENDENCY_DOWN"
        await asyncio.to_thread(platform.revive)
        await until(lambda: ready(front), "calls go through again")
