"""Mutual TLS: who gets in, and that certificates are renewed without anybody noticing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from rag_common.grpc.bootstrap import Service, serving
from rag_common.grpc.peer import Peer, open_peer
from rag_common.grpc.ports import ServerSecurity
from rag_common.observability.setup import Telemetry
from rag_common.security.certificates import Certificate
from rag_common.security.peer_identity import only
from rag_common.security.tls import FileCertificates, watch_certificates
from rag_common.settings import SettingsInvalid
from rag_contract import errors
from tests.support.authority import Authority
from tests.support.rpc import NAME, Echo, Settings, each, method
from tests.support.waiting import until

CALLERS = {f"/{NAME}/*": only("gateway"), f"/{NAME}/Gather": only("operator")}
AUTHORITY = Authority()
ANYWHERE = "0.0.0.0"  # noqa: S104


@dataclass
class Renewable:
    """A certificate that a test replaces."""

    present: Certificate
    renewed: list[Callable[[Certificate], None]] = field(default_factory=list)

    def current(self) -> Certificate:
        return self.present

    def subscribe(self, renewed: Callable[[Certificate], None]) -> None:
        self.renewed.append(renewed)

    def renew(self, certificate: Certificate) -> None:
        self.present = certificate
        for renewed in self.renewed:
            renewed(certificate)


def of(name: str, **how: float) -> Renewable:
    return Renewable(AUTHORITY.certificate(name, **how))


@asynccontextmanager
async def guarded(certificates: Renewable | FileCertificates) -> AsyncIterator[int]:
    """The echo service behind mutual TLS; gives its port."""
    echo = Echo()
    security = ServerSecurity(certificates=certificates, callers=CALLERS)
    service = Service(NAME, echo.add, echo)
    async with serving([service], Settings(tls="files"), Telemetry(), security=security) as ports:
        yield ports.grpc


@asynccontextmanager
async def caller(
    port: int, certificates: Renewable | None, name: str = "embedder"
) -> AsyncIterator[Peer]:
    async with open_peer(
        name,
        f"127.0.0.1:{port}",
        Telemetry(),
        timeout=10,
        max_message_bytes=2**20,
        certificates=certificates,
    ) as peer:
        yield peer


async def refusal(peer: Peer) -> errors.AppError:
    with pytest.raises(errors.AppError) as caught:
        await peer.unary(method(peer.channel), "hello", timeout=2)
    return caught.value


@pytest.mark.parametrize(
    ("identity", "kind", "may"),
    [
        ("spiffe://rag-platform/gateway", "One", True),
        # A rule for one method counts more than that for all.
        ("spiffe://rag-platform/gateway", "Gather", False),
        ("spiffe://rag-platform/operator", "Gather", True),
        ("spiffe://rag-platform/retriever", "One", False),
        ("spiffe://elsewhere/gateway", "One", False),
        ("spiffe://rag-platform/gateway/x", "One", False),
        ("https://rag-platform/gateway", "One", False),
    ],
)
async def test_a_method_may_be_called_by_the_services_of_its_rule(
    identity: str, kind: str, may: bool
) -> None:
    certificates = Renewable(AUTHORITY.certificate("gateway", identity=identity))
    async with guarded(of("embedder")) as port, caller(port, certificates) as peer:
        called = method(peer.channel, kind)
        calling = peer.unary(called, "hello") if kind == "One" else peer.upload(called, each("hi"))
        if may:
            assert await calling
        else:
            with pytest.raises(errors.CallerForbidden):
                await calling


async def test_a_service_that_may_not_call_is_named() -> None:
    async with guarded(of("embedder")) as port, caller(port, of("retriever")) as peer:
        refused = await refusal(peer)
    assert refused.metadata["caller"] == "retriever"


@pytest.mark.parametrize(
    "certificates",
    [
        None,
        Renewable(Authority().certificate("gateway")),
        Renewable(
            Certificate(
                Authority().certificate("gateway").chain,
                AUTHORITY.certificate("gateway").key,
                AUTHORITY.roots,
                0,
            )
        ),
        of("gateway", seconds=-1),
    ],
    ids=["plaintext", "another authority", "a key of another", "expired"],
)
async def test_what_shows_no_good_certificate_is_not_heard(certificates: Renewable | None) -> None:
    async with guarded(of("embedder")) as port, caller(port, certificates) as peer:
        assert isinstance(await refusal(peer), errors.Unavailable)


async def test_a_caller_refuses_a_server_of_another_name() -> None:
    async with guarded(of("retriever")) as port, caller(port, of("gateway")) as peer:
        assert isinstance(await refusal(peer), errors.Unavailable)


async def test_calls_and_streams_go_on_while_both_sides_renew_again_and_again() -> None:
    server, client = of("embedder"), of("gateway")
    renewals, failures, calls = 20, [], 0
    async with guarded(server) as port, caller(port, client) as peer:
        done = asyncio.Event()

        async def ask() -> None:
            nonlocal calls
            one = method(peer.channel)
            while not done.is_set():
                try:
                    assert await peer.unary(one, "hello") == "hello"
                    calls += 1
                except errors.AppError as error:
                    failures.append(error)

        def passed(count: int) -> bool:
            return calls > count

        async def converse() -> None:
            """A stream that lasts from before the first renewal until after the last."""

            async def words() -> AsyncIterator[str]:
                while not done.is_set():
                    yield "word"
                    await asyncio.sleep(0.01)

            async for reply in peer.stream(method(peer.channel, "Converse"), words()):
                assert reply == "word"

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(ask())
            group.create_task(converse())
            for _ in range(renewals):
                server.renew(AUTHORITY.certificate("embedder"))
                client.renew(AUTHORITY.certificate("gateway"))
                before = calls
                await until(partial(passed, before + 20), "20 calls after a renewal")
            done.set()
    assert not failures


async def test_a_renewed_certificate_is_shown_once_the_old_one_has_ended() -> None:
    server, client = of("embedder", seconds=-1), of("gateway", seconds=-1)
    async with guarded(server) as port, caller(port, client) as peer:
        assert isinstance(await refusal(peer), errors.Unavailable)
        server.renew(AUTHORITY.certificate("embedder"))
        client.renew(AUTHORITY.certificate("gateway"))

        async def answered() -> bool:
            try:
                return bool(await peer.unary(method(peer.channel), "hello", timeout=1) == "hello")
            except errors.Unavailable:
                return False

        await until(answered, "a call with the new certificates")


async def test_files_are_read_again_when_they_change(tmp_path: Path) -> None:
    first = AUTHORITY.lay(tmp_path, "embedder")
    async with watch_certificates(tmp_path, 0.01) as certificates:
        observed: list[Certificate] = []
        certificates.subscribe(observed.append)
        assert certificates.current() == first
        second = AUTHORITY.lay(tmp_path, "embedder")
        await until(lambda: certificates.current() == second, "the new certificate")
    assert observed[-1] == second


async def test_files_that_do_not_belong_together_change_nothing(tmp_path: Path) -> None:
    first = AUTHORITY.lay(tmp_path, "embedder")
    certificates = FileCertificates(tmp_path)
    (tmp_path / "tls.crt").write_bytes(AUTHORITY.certificate("embedder").chain)
    await certificates.refresh()
    (tmp_path / "tls.crt").write_bytes(b"half a cert")
    await certificates.refresh()
    assert certificates.current() == first


async def test_a_folder_without_a_certificate_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=str(tmp_path)):
        FileCertificates(tmp_path)


def test_a_certificate_does_not_show_its_key() -> None:
    created = AUTHORITY.certificate("embedder")
    assert "PRIVATE" not in repr(created)


async def test_plaintext_is_not_offered_to_other_machines() -> None:
    with pytest.raises(SettingsInvalid, match="ECHO_TLS"):
        async with serving([], Settings(host=ANYWHERE), Telemetry()):
            pass


async def test_plaintext_is_offered_where_a_mesh_encrypts() -> None:
    async with serving([], Settings(host=ANYWHERE, plaintext=True), Telemetry()) as ports:
        assert ports.grpc


async def test_health_may_be_asked_over_tls_by_any_service() -> None:
    async with guarded(of("embedder")) as port, caller(port, of("retriever")) as peer:

        async def serves() -> bool:
            try:
                await peer.serving()
            except errors.Unavailable:
                return False
            return True

        await until(serves, "it says that it serves")
