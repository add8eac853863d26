"""The edge and the gateways behind it: who they are, when they are asked again, and what a restart costs."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from rag.gateway.v1 import access_service_pb2 as access
from rag.gateway.v1 import answer_service_pb2 as answers
from rag.gateway.v1 import document_service_pb2 as documents
from rag.gateway.v1.access_service_pb2_grpc import AccessServiceStub
from rag.gateway.v1.answer_service_pb2_grpc import AnswerServiceStub
from rag.gateway.v1.document_service_pb2_grpc import DocumentServiceStub
from rag_contract import errors
from rag_contract.status import from_rpc_error
from rag_local.backends.envoy import NAMES, edge
from rag_local.certificate_authority import Authority
from tests.component.edge.test_json import reasons
from tests.support.edge.fixtures import QUIET, Setting, passes, setting
from tests.support.edge.gateway import NOT_SERVING, Gateway, Signer, gateway
from tests.support.observability.fixtures import threaded
from tests.support.waiting import until

SPIFFE = "spiffe://rag-platform/edge"
DRAINING = errors.Draining("the service is stopping", retry_after=0.2)


def gateway_credentials(authority: Authority, folder: Path, name: str) -> grpc.ServerCredentials:
    """Those of a gateway of that name, which asks for a certificate in turn."""
    authority.issue(folder, [name])
    pair = (folder / "tls.key").read_bytes(), (folder / "tls.crt").read_bytes()
    return grpc.ssl_server_credentials([pair], authority.roots.read_bytes(), True)


@asynccontextmanager
async def mutual(
    home: Path, name: str = "gateway", issuer: str = "inside"
) -> AsyncIterator[Setting]:
    """An edge and a gateway that show each other certificates; not waited for."""
    inside = Authority(home / "inside")
    identity = home / "identity"
    Authority(home / issuer).issue(identity, [SPIFFE])
    identity.joinpath("ca.crt").write_bytes(inside.roots.read_bytes())
    async with gateway(gateway_credentials(inside, home / "gateway", name)) as behind:
        signer = Signer()
        behind.keys = [signer.jwk]
        values = replace(
            QUIET,
            gateways=[f"127.0.0.1:{behind.port}"],
            pages=[f"127.0.0.1:{behind.http_port}"],
            gateway_tls=True,
            identity=str(identity),
        )
        async with threaded(edge(home, values)) as started:
            yield Setting(started, behind, signer)


async def refused_for_good(placed: Setting, counter: str) -> None:
    """Nothing arrives, and the counter says why."""
    await until(lambda: placed.edge.stat(counter) > 0, f"{counter} counts")
    async with placed.http() as http:
        reply = await http.get("/v1/identity", headers=placed.headers())
    assert reply.status_code == 503
    assert reasons(reply)["ErrorInfo"]["reason"] == "DEPENDENCY_DOWN"
    assert not placed.gateway.heard


async def test_a_gateway_of_another_name_is_not_talked_to(tmp_path: Path) -> None:
    async with mutual(tmp_path, name="retriever") as placed:
        await refused_for_good(placed, "cluster.gateway.ssl.fail_verify_san")


async def test_an_edge_of_another_root_is_let_in_when_its_certificate_is_renewed(
    tmp_path: Path,
) -> None:
    async with mutual(tmp_path, issuer="outside") as placed:
        await refused_for_good(placed, "cluster.gateway.health_check.failure")
        Authority(tmp_path / "inside").issue(tmp_path / "identity", [SPIFFE])
        await until(lambda: passes(placed), "the renewed certificate is shown")
        assert placed.gateway.peers[-1]["x509_subject_alternative_name"] == [SPIFFE.encode()]


async def certificate(placed: Setting) -> str:
    """The certificate that is served now."""
    address = ("127.0.0.1", placed.edge.port)
    return await asyncio.to_thread(ssl.get_server_certificate, address)


async def test_a_renewed_certificate_is_served_at_once_and_calls_go_on(tmp_path: Path) -> None:
    async with setting(tmp_path) as placed, placed.channel() as channel:
        free = asyncio.Event()

        async def held() -> AsyncIterator[answers.StreamAnswerResponse]:
            yield answers.StreamAnswerResponse(started=answers.Started())
            await free.wait()
            yield answers.StreamAnswerResponse(delta=answers.Delta(text="end"))

        placed.gateway.says("StreamAnswer", held())
        stub: Any = AnswerServiceStub(channel)
        call = stub.StreamAnswer(answers.StreamAnswerRequest(), metadata=placed.metadata())
        assert (await call.read()).HasField("started")

        before = await certificate(placed)
        certificates = tmp_path / "certificates"
        Authority(certificates / "authority").issue(certificates / "edge", NAMES)

        async def renewed() -> bool:
            return await certificate(placed) != before

        async with load(placed) as done:
            await until(renewed, "the new certificate is served")
        assert not done.failures
        free.set()
        assert (await call.read()).delta.text == "end"


class Load:
    """Reads that go on, and what became of them."""

    def __init__(self) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self.slowest = 0.0


@asynccontextmanager
async def load(placed: Setting, callers: int = 8) -> AsyncIterator[Load]:
    """Reads by gRPC and JSON, one after the other for each caller, while inside."""
    created, over = Load(), asyncio.Event()

    async def repeat(call: Callable[[], Any]) -> None:
        while not over.is_set():
            began = time.monotonic()
            try:
                await call()
                created.answered += 1
            except (grpc.aio.AioRpcError, httpx.HTTPError) as error:
                created.failures.append(repr(error)[:300])
            created.slowest = max(created.slowest, time.monotonic() - began)

    async with placed.channel() as channel, placed.http() as http:
        stub: Any = AnswerServiceStub(channel)

        async def by_grpc() -> None:
            request = answers.GetCapabilitiesRequest()
            await stub.GetCapabilities(request, metadata=placed.metadata(), timeout=20)

        async def by_json() -> None:
            (await http.get("/v1/capabilities", headers=placed.headers())).raise_for_status()

        tasks = [asyncio.create_task(repeat(by_grpc)) for _ in range(callers)]
        tasks += [asyncio.create_task(repeat(by_json)) for _ in range(callers)]
        try:
            yield created
        finally:
            over.set()
            await asyncio.gather(*tasks)


class Replica:
    """A gateway that can be ended and started again where it was."""

    def __init__(self, signer: Signer) -> None:
        self.state = Gateway(keys=[signer.jwk])
        self._context: Any = None

    async def start(self) -> None:
        self._context = gateway(made=self.state)
        await self._context.__aenter__()

    async def stop(self) -> None:
        with suppress(Exception):
            await self._context.__aexit__(None, None, None)


@asynccontextmanager
async def pair(home: Path, **changes: Any) -> AsyncIterator[tuple[Setting, list[Replica]]]:
    """An edge before two gateways."""
    signer = Signer()
    replicas = [Replica(signer), Replica(signer)]
    for replica in replicas:
        await replica.start()
    values = replace(
        QUIET,
        gateways=[f"127.0.0.1:{one.state.port}" for one in replicas],
        pages=[f"127.0.0.1:{one.state.http_port}" for one in replicas],
        **changes,
    )
    try:
        async with threaded(edge(home, values)) as started:
            created = Setting(started, replicas[0].state, signer)
            await until(lambda: passes(created), "the edge passes calls on")
            await until(lambda: healthy(created) == 2, "both gateways are known")
            yield created, replicas
    finally:
        for replica in replicas:
            await replica.stop()


def healthy(placed: Setting) -> int:
    return placed.edge.stat("cluster.gateway.membership_healthy")


async def test_a_gateway_that_drains_gets_no_new_calls(tmp_path: Path) -> None:
    async with pair(tmp_path) as (placed, (first, second)):
        await first.state.say(NOT_SERVING)
        await until(lambda: healthy(placed) == 1, "the edge has seen it")
        first.state.heard.clear()
        second.state.heard.clear()
        async with load(placed) as done:
            await until(lambda: done.answered > 50, "some calls")
        assert not done.failures
        assert not first.state.heard
        assert len(second.state.heard) >= 50


async def test_a_lone_gateway_that_drains_gets_no_new_calls_either(tmp_path: Path) -> None:
    async with setting(tmp_path) as placed, placed.http() as http:
        await placed.gateway.say(NOT_SERVING)
        await until(lambda: healthy(placed) == 0, "the edge has seen it")
        reply = await http.get("/v1/identity", headers=placed.headers())
        assert (reply.status_code, placed.gateway.heard) == (503, [])
        assert reasons(reply)["ErrorInfo"]["reason"] == "DEPENDENCY_DOWN"
        async with placed.channel() as channel:
            stub: Any = AccessServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.GetIdentity(access.GetIdentityRequest(), metadata=placed.metadata())
        result = from_rpc_error(caught.value)
        assert (type(result), result.retry_after) == (errors.DependencyDown, 1.0)
        assert result.message == "the gateway does not answer"


@pytest.mark.parametrize("warned", [True, False], ids=["drained", "cut off"])
async def test_restarting_one_gateway_after_the_other_fails_no_read(
    tmp_path: Path, warned: bool
) -> None:
    async with pair(tmp_path) as (placed, replicas):
        async with load(placed) as done:
            for replica in replicas:
                before = done.answered
                if warned:
                    await replica.state.say(NOT_SERVING)
                    await until(lambda: healthy(placed) == 1, "the edge has seen it")
                await replica.stop()
                await until(lambda before=before: done.answered > before + 100, "calls without it")
                await replica.start()
                await until(lambda: healthy(placed) == 2, "it is back")
        assert not done.failures
        assert done.answered > 200


async def test_a_read_that_finds_a_gateway_stopping_is_asked_again(
    placed: Setting, http: httpx.AsyncClient
) -> None:
    outcomes = [DRAINING, DRAINING, None]

    async def act(_request: Any) -> None:
        outcome = outcomes.pop(0)
        if outcome:
            raise outcome

    placed.gateway.does("Search", act)
    reply = await http.post("/v1/search", json={"query": "q"}, headers=placed.headers())
    assert (reply.status_code, len(placed.gateway.heard)) == (200, 3)


async def test_a_read_is_not_asked_again_for_ever(placed: Setting, http: httpx.AsyncClient) -> None:
    placed.gateway.says("Search", DRAINING)
    reply = await http.post("/v1/search", json={"query": "q"}, headers=placed.headers())
    assert (reply.status_code, len(placed.gateway.heard)) == (503, 3)
    assert reasons(reply)["ErrorInfo"]["reason"] == "DRAINING"


@pytest.mark.parametrize("error", [errors.RateLimited("no"), errors.Internal("no")])
async def test_only_unavailable_is_worth_asking_again(
    placed: Setting, http: httpx.AsyncClient, error: errors.AppError
) -> None:
    placed.gateway.says("Search", error)
    await http.post("/v1/search", json={"query": "q"}, headers=placed.headers())
    assert len(placed.gateway.heard) == 1


async def test_a_write_is_sent_once(placed: Setting, channel: grpc.aio.Channel) -> None:
    placed.gateway.says("IngestDocument", DRAINING)
    stub: Any = DocumentServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.IngestDocument(documents.IngestDocumentRequest(), metadata=placed.metadata())
    assert len(placed.gateway.heard) == 1


async def test_a_stream_that_has_begun_is_not_begun_again(
    placed: Setting, channel: grpc.aio.Channel
) -> None:
    async def broken() -> AsyncIterator[answers.StreamAnswerResponse]:
        yield answers.StreamAnswerResponse(started=answers.Started())
        raise RuntimeError

    placed.gateway.says("StreamAnswer", broken())
    stub: Any = AnswerServiceStub(channel)
    call = stub.StreamAnswer(answers.StreamAnswerRequest(), metadata=placed.metadata())
    with pytest.raises(grpc.aio.AioRpcError):
        assert [event async for event in call]
    assert len(placed.gateway.heard) == 1


async def test_a_gateway_that_only_fails_is_left_alone_for_a_while(tmp_path: Path) -> None:
    async with pair(tmp_path) as (placed, (first, _)):
        first.state.says("GetCapabilities", errors.DependencyDown("no", retry_after=1.0))
        ejected = "cluster.gateway.outlier_detection.ejections_active"
        async with load(placed) as done:
            await until(lambda: placed.edge.stat(ejected) == 1, "it is ejected")
        assert not done.failures
        assert await passes(placed)


async def test_an_edge_that_drains_says_so_and_ends_its_calls_well(tmp_path: Path) -> None:
    async with setting(tmp_path) as placed:
        free, begun = asyncio.Event(), asyncio.Event()

        async def held(_request: Any) -> None:
            begun.set()
            await free.wait()

        placed.gateway.does("GetIdentity", held)
        async with placed.http() as http, placed.http() as probe:
            call = asyncio.create_task(http.get("/v1/identity", headers=placed.headers()))
            await begun.wait()
            draining = asyncio.create_task(asyncio.to_thread(placed.edge.drain))

            async def said() -> bool:
                return (await probe.get("/health/ready")).status_code == 503

            await until(said, "the edge says that it drains")
            assert (await probe.get("/health/live")).status_code == 200
            free.set()
            assert (await call).status_code == 200
            await draining
