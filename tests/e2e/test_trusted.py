"""Mutual TLS and everything from Vault: who gets in, and that nothing stops while secrets change."""

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
import pytest_asyncio
from google.protobuf import descriptor_pool
from redis.exceptions import AuthenticationError

import rag_embedder.api.callers
import rag_generator.api.callers
import rag_ingestor.api.callers
import rag_retriever.api.callers
from rag.gateway.v1 import access_service_pb2 as access
from rag.gateway.v1 import options_pb2 as options
from rag.gateway.v1.access_service_pb2_grpc import AccessServiceStub
from rag.types.v1.passage_pb2 import Passage
from rag_gateway.api.rate_limit import NAME as RATE_LIMIT
from rag_gateway.app import PUBLIC
from rag_local.backends.vault_setup import TOKEN_KEY
from rag_local.child import end
from rag_local.connection_info import certificate_connection
from rag_local.service_processes import ServiceSpec, start
from tests.e2e.callers import Caller, refusal, refused, row
from tests.e2e.load import load
from tests.e2e.model import served
from tests.e2e.reflected import Method
from tests.e2e.trusted import (
    ENDLESS,
    LLM_PATH,
    QUICK,
    REDIS_PATH,
    SERVICES,
    Model,
    TrustedPlatform,
    repeated,
    trusted_platform,
)
from tests.support.authority import Authority
from tests.support.parts import tool
from tests.support.waiting import until

GRPCURL = tool("grpcurl", "make test")
RULE = "창고는 일곱 시에 문을 연다."
QUESTION = "창고는 언제 문을 여나?"
FORBIDDEN = ("PERMISSION_DENIED", "CALLER_FORBIDDEN")

NAMES = ("gateway", "embedder", "retriever", "generator", "ingestor", "edge", "operator")
# By service: who may call each of its methods.
CALLERS = {
    "embedder": rag_embedder.api.callers.CALLERS,
    "retriever": rag_retriever.api.callers.CALLERS,
    "generator": rag_generator.api.callers.CALLERS,
    "ingestor": rag_ingestor.api.callers.CALLERS,
    "gateway": {f"/{name}/*": frozenset({"edge", "operator"}) for name in PUBLIC},
}


@pytest_asyncio.fixture(scope="module")
async def model() -> AsyncIterator[Model]:
    async with served(Model()) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def trusted(
    tmp_path_factory: pytest.TempPathFactory, models: Path, model: Model
) -> AsyncIterator[TrustedPlatform]:
    """All of it, with certificates that live for ten seconds."""
    environment = {
        "EMBEDDER_MODELS_DIR": str(models),
        "GENERATOR_OPENAI_URL": model.url,
        # A connection that is never renewed would hide a certificate that is not.
        **{f"{service.upper()}_MAX_CONNECTION_AGE": "3" for service in SERVICES},
    }
    passwords = {"redis": secrets.token_hex(16), "llm": secrets.token_hex(16)}
    home = tmp_path_factory.mktemp("trusted")
    running = trusted_platform(home, environment, passwords=passwords, life="10s")
    result = await asyncio.to_thread(running.__enter__)
    yield result
    await asyncio.to_thread(running.__exit__, None, None, None)


@pytest_asyncio.fixture(scope="module")
async def channel(trusted: TrustedPlatform) -> AsyncIterator[grpc.aio.Channel]:
    """To the gateway, with the operator's certificate."""
    async with trusted.channel("gateway", await trusted.identity("operator")) as opened:
        yield opened


@pytest_asyncio.fixture
async def caller(trusted: TrustedPlatform, channel: grpc.aio.Channel, tenant: str) -> Caller:
    """Calls as that tenant, with a token that Vault has signed."""
    return Caller(channel, await trusted.token(tenant))


@pytest_asyncio.fixture
async def lasting(trusted: TrustedPlatform) -> None:
    """Certificates that outlive an absence of Vault's."""
    await trusted.lasting()


def llm(model: str = QUICK) -> dict[str, Any]:
    """What makes an answer the language model's."""
    return {
        "passages": [Passage(passage_id="a", text="The warehouse opens at seven.")],
        "generation": options.GenerationOptions(model=model),
        "grounding": options.GroundingOptions(mode="GROUNDING_MODE_OFF"),
    }


async def alone(caller: Caller) -> bool:
    """Whether the gateway's limits are its own."""
    stub: Any = AccessServiceStub(caller.channel)
    reply = await stub.GetQuota(access.GetQuotaRequest(), metadata=caller.metadata, timeout=10)
    return bool(reply.local)


async def shared(caller: Caller) -> bool:
    return not await alone(caller)


# Who gets in


async def test_documents_go_in_and_are_found_answered_from_and_streamed(caller: Caller) -> None:
    await caller.ingest("doc", RULE)
    assert [result.passage.text for result in (await caller.search("창고")).passages] == [RULE]
    assert "일곱 시" in (await caller.ask(QUESTION)).text
    assert "일곱 시" in (await caller.events(QUESTION))[-1].completed.text


@pytest.mark.parametrize(
    ("service", "method"),
    [
        ("embedder", "rag.embedder.v1.EmbedderService/GetModelInfo"),
        ("retriever", "rag.retriever.v1.RetrieverService/ListIndexes"),
        ("generator", "rag.generator.v1.GeneratorService/ListModels"),
        ("ingestor", "rag.ingestor.v1.IngestorService/ListMediaTypes"),
        ("gateway", "rag.gateway.v1.AccessService/GetIdentity"),
    ],
)
async def test_grpcurl_gets_in_with_the_operators_certificate(
    trusted: TrustedPlatform, service: str, method: str
) -> None:
    person = trusted.person
    token = f"authorization: Bearer {person.token.read_text()}"
    address = f"localhost:{trusted.platform.specs[service].port}"
    flags = certificate_connection(person).flags.split()
    process = await asyncio.create_subprocess_exec(
        GRPCURL, *flags, "-H", token, address, method, stdout=-1, stderr=-1
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err
    assert out.startswith(b"{")


async def test_the_command_answers_with_what_it_is_told_by_its_environment(
    trusted: TrustedPlatform, channel: grpc.aio.Channel
) -> None:
    await Caller(channel, await trusted.token("demo")).ingest("doc", RULE)
    target = f"localhost:{trusted.platform.specs['gateway'].port}"
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("rag"), "ask", QUESTION,
        env={**os.environ, **trusted.person.settings(target)}, stdout=-1, stderr=-1,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err
    assert "일곱 시" in out.decode()


async def test_the_key_of_a_development_machine_signs_for_nobody_here(
    trusted: TrustedPlatform, channel: grpc.aio.Channel
) -> None:
    result = await refused(Caller(channel, trusted.platform.token("demo")).capabilities())
    assert row(result) == ("UNAUTHENTICATED", "TOKEN_INVALID")


def raw(channel: grpc.aio.Channel, method: str) -> Any:
    """A call with an empty message."""
    call: Any = channel.unary_unary(method)
    return call(b"", timeout=20)


@pytest.mark.parametrize("service", SERVICES)
async def test_without_a_certificate_of_ours_there_is_no_answer(
    trusted: TrustedPlatform, service: str
) -> None:
    address = trusted.platform.address(service)
    roots = (await trusted.identity("operator")).roots
    other = Authority().certificate("gateway")
    for opened in (
        grpc.aio.insecure_channel(address),
        grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(roots)),
        grpc.aio.secure_channel(
            address, grpc.ssl_channel_credentials(roots, other.key, other.chain)
        ),
    ):
        async with opened as channel:
            for method in ("/grpc.health.v1.Health/Check", next(iter(CALLERS[service]))):
                assert row(await refused(raw(channel, method))) == ("UNAVAILABLE", "")


def methods(service: str) -> dict[str, frozenset[str]]:
    """Every method of a service, with those who may call it."""
    pool = descriptor_pool.Default()
    names = sorted({path.split("/")[1] for path in CALLERS[service]})
    paths = [
        f"/{name}/{method.name}"
        for name in names
        for method in pool.FindServiceByName(name).methods
    ]
    every = {path: path.rpartition("/")[0] + "/*" for path in paths}
    allowed = CALLERS[service]
    return {path: allowed.get(path) or allowed[whole] for path, whole in every.items()}


async def outcome(channel: grpc.aio.Channel, path: str) -> tuple[str, str] | None:
    """The row of the contract that a request for nothing gets, without a token; None where it is served."""
    service, _, name = path.strip("/").partition("/")
    described = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    method = Method(path, described)
    try:
        await method(channel, (), method.request(index="nothing"))
    except grpc.aio.AioRpcError as error:
        return row(refusal(error))
    return None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("service", CALLERS)
async def test_each_method_is_open_to_whom_the_table_names_and_to_nobody_else(
    trusted: TrustedPlatform, service: str, name: str
) -> None:
    async with trusted.channel(service, await trusted.identity(name)) as channel:
        result = {path: await outcome(channel, path) for path in methods(service)}
    denied = {path for path, reported in result.items() if reported == FORBIDDEN}
    assert denied == {path for path, allowed in methods(service).items() if name not in allowed}
    codes = {reported[0] for path, reported in result.items() if reported and path not in denied}
    assert codes <= {"INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "UNAUTHENTICATED"}


@pytest.mark.parametrize("name", NAMES)
async def test_the_edge_alone_asks_about_its_limits(trusted: TrustedPlatform, name: str) -> None:
    async with trusted.channel("gateway", await trusted.identity(name)) as channel:
        asking = raw(channel, f"/{RATE_LIMIT}/ShouldRateLimit")
        if name == "edge":
            assert await asking
        else:
            assert row(await refused(asking)) == FORBIDDEN


# Certificates, secrets and keys that change


async def test_calls_and_a_stream_go_on_while_every_certificate_is_renewed_three_times(
    trusted: TrustedPlatform, caller: Caller, model: Model
) -> None:
    serials = {service: trusted.serial(service) for service in SERVICES}
    streaming = asyncio.create_task(caller.events(QUESTION, timeout=280, **llm(ENDLESS)))
    async with load(caller) as running:
        await trusted.renewed(3)
        await running.flows()
    model.go.set()
    events = await streaming
    assert events[-1].completed.text.endswith("at seven.")
    assert running.failures == []
    assert not [service for service in SERVICES if trusted.serial(service) == serials[service]]


async def test_a_new_password_of_redis_is_taken_up_under_load_and_fails_no_call(
    trusted: TrustedPlatform, caller: Caller
) -> None:
    former, new = trusted.redis.password, secrets.token_hex(16)
    async with load(caller) as running:
        await running.flows()
        trusted.redis.change_password(new)
        trusted.put(REDIS_PATH, password=new)
        with trusted.redis.client() as client:
            client.client_kill_filter(_type="normal", skipme=True)
        await running.flows()
        await until(lambda: shared(caller), "limits are shared again")
        await running.flows()
    assert running.failures == []
    with trusted.redis.client(former) as client, pytest.raises(AuthenticationError):
        client.ping()


async def test_a_new_key_of_the_language_model_is_sent_after_the_next_look_and_fails_no_call(
    trusted: TrustedPlatform, caller: Caller, model: Model
) -> None:
    new = secrets.token_hex(16)
    async with repeated(lambda: caller.ask(QUESTION, **llm())) as calls:
        await calls.flow()
        assert new not in model.keys
        trusted.put(LLM_PATH, api_key=new)
        await until(lambda: new in model.keys, "the new key is sent")
        sent = len(model.keys)
        await calls.flow(20)
    assert calls.failures == []
    # Those that were on their way when the first of the new ones came.
    assert set(model.keys[sent + 4 :]) == {new}


def key_id(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


async def published(trusted: TrustedPlatform) -> set[str]:
    """Ids of the keys that the gateway shows."""
    page = await trusted.page("gateway", "/.well-known/jwks.json")
    return {key["kid"] for key in page.json()["keys"]}


async def let_in(channel: grpc.aio.Channel, token: str) -> bool:
    """Whether the token is good; where it is not, it is for its signature."""
    try:
        await Caller(channel, token).capabilities()
    except grpc.aio.AioRpcError as error:
        result = refusal(error)
    else:
        return True
    assert row(result) == ("UNAUTHENTICATED", "TOKEN_INVALID")
    return False


async def test_tokens_of_the_former_and_of_the_new_signing_key_are_good(
    trusted: TrustedPlatform, channel: grpc.aio.Channel, tenant: str
) -> None:
    former = await trusted.token(tenant, ["admin"])
    trusted.vault.root().secrets.transit.rotate_key(TOKEN_KEY)
    new = await trusted.token(tenant)
    assert key_id(new) != key_id(former)
    await until(lambda: let_in(channel, new), "the new key is known")
    assert await let_in(channel, former)
    assert {key_id(former), key_id(new)} <= await published(trusted)
    stub: Any = AccessServiceStub(channel)
    request = access.IssueTokenRequest(subject="a-job", scopes=["search"])

    async def renewed() -> bool:
        issued = await stub.IssueToken(request, metadata=Caller(channel, former).metadata)
        assert await let_in(channel, issued.token)
        return key_id(issued.token) == key_id(new)

    await until(renewed, "the gateway itself signs with the new key")


async def test_tokens_of_a_withdrawn_key_are_refused(
    trusted: TrustedPlatform, channel: grpc.aio.Channel, tenant: str
) -> None:
    transit = trusted.vault.root().secrets.transit
    unseen = [await trusted.token(tenant, jti=f"unseen-{n}") for n in range(20)]
    assert await let_in(channel, unseen[0])
    transit.rotate_key(TOKEN_KEY)
    newest = transit.read_key(TOKEN_KEY)["data"]["latest_version"]
    with withdrawn(transit, newest):

        async def gone() -> bool:
            return key_id(unseen[0]) not in await published(trusted)

        await until(gone, "the key is no longer shown")
        assert not await let_in(channel, unseen[1])
        assert await let_in(channel, await trusted.token(tenant))


@contextmanager
def withdrawn(transit: Any, version: int) -> Iterator[None]:
    """Inside the block, no older key than the one of that version is good for anything."""
    transit.update_key_configuration(TOKEN_KEY, min_decryption_version=version)
    try:
        yield
    finally:
        transit.update_key_configuration(TOKEN_KEY, min_decryption_version=1)


# What goes away, and comes back


async def test_without_redis_no_call_fails_and_limits_are_the_gateways_own(
    trusted: TrustedPlatform, caller: Caller
) -> None:
    await until(lambda: shared(caller), "limits are shared")
    async with load(caller) as running:
        await running.flows()
        async with trusted.without_redis():
            await until(lambda: alone(caller), "limits are the gateway's own")
            await running.flows()
        await until(lambda: shared(caller), "limits are shared again")
        await running.flows()
    assert running.failures == []


@pytest.mark.usefixtures("lasting")
async def test_without_vault_calls_go_on_and_services_say_that_they_are_degraded(
    trusted: TrustedPlatform, caller: Caller
) -> None:
    async with load(caller) as running:
        async with trusted.without_vault():
            for service in ("gateway", "generator"):
                checks = (await trusted.says(service, "degraded"))["checks"]
                assert [name for name, check in checks.items() if not check["ok"]] == ["secrets"]
                assert await asyncio.to_thread(trusted.platform.serving, service)
            await running.flows()
        for service in ("gateway", "generator"):
            await trusted.says(service, "serving")
    assert running.failures == []


@pytest.mark.usefixtures("lasting")
@pytest.mark.parametrize(("sealed", "why"), [(False, "is not reachable"), (True, "is sealed")])
async def test_a_service_that_starts_without_vault_ends_with_one_sentence(
    trusted: TrustedPlatform, tmp_path: Path, sealed: bool, why: str
) -> None:
    settings = trusted.trust.settings("generator")
    async with trusted.without_vault(sealed=sealed):
        process = start(ServiceSpec("generator", 0, 0, 0), settings, tmp_path / "log")
        try:
            assert await asyncio.to_thread(process.wait, 60) == 2
        finally:
            end(process, 0)
    [sentence] = (tmp_path / "log").read_text().splitlines()
    assert sentence.startswith(f"Vault at {trusted.vault.address} {why}")
