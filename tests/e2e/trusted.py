"""The platform that trusts nobody without a certificate: Vault, Redis, the services, and who calls them."""

import asyncio
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import redis
from cryptography import x509

from rag_common.security.certificates import Certificate
from rag_common.security.tls import channel_credentials
from rag_common.vault.certificates import CertificateNames
from rag_common.vault.client import open_vault
from rag_common.vault.settings import VaultOptions
from rag_local.backends.redis import PROGRAMS, redis_server
from rag_local.backends.vault import LocalVault, vault
from rag_local.backends.vault_setup import TOKEN_KEY, leaf_role
from rag_local.dev_certificates import Operator, issue_operator_credentials
from rag_local.secrets_backend import SecretsBackend
from tests.e2e.callers import Refusal, refusal
from tests.e2e.platform import SCOPES, Platform
from tests.support.authority import TRUST_DOMAIN
from tests.support.generator.neighbour import finish, words
from tests.support.parts import tool
from tests.support.vault.fixtures import entrance
from tests.support.waiting import until

SERVICES = ("embedder", "retriever", "generator", "ingestor", "gateway")
QUICK, ENDLESS = "quick", "endless"
LLM_PATH, REDIS_PATH = "rag/generator/llm", "rag/gateway/redis"

# Everything that is renewed or looked at again is so within seconds.
_HASTE = {
    "GATEWAY_VAULT_POLL": "0.5",
    "GENERATOR_VAULT_POLL": "0.5",
    "GATEWAY_HEALTH_INTERVAL": "0.5",
    "GENERATOR_HEALTH_INTERVAL": "0.5",
    "GATEWAY_JWKS_MAX_AGE": "1",
    # A machine that is busy with other tests is not a Redis that is away.
    "GATEWAY_REDIS_TIMEOUT": "2",
    "GENERATOR_OPENAI_API_KEY": f"vault:{LLM_PATH}#api_key",
    "GENERATOR_OPENAI_MODELS": f"{QUICK},{ENDLESS}",
}


class Redis:
    """The platform's Redis: stopped, started again on the same port, given another password."""

    def __init__(self, folder: Path, password: str) -> None:
        self._folder = folder
        self._running = ExitStack()
        self.password = password
        self.url = ""

    def start(self) -> None:
        port = int(self.url.rpartition(":")[2].partition("/")[0]) if self.url else 0
        self.url = self._running.enter_context(redis_server(self._folder, self.password, port))

    def stop(self) -> None:
        self._running.close()

    def client(self, password: str = "") -> "redis.Redis":
        return redis.Redis.from_url(self.url, password=password or self.password, protocol=2)

    def change_password(self, password: str) -> None:
        """New connections need the new one from now on; those that are open stay."""
        with self.client() as client:
            client.config_set("requirepass", password)
        self.password = password


@dataclass
class TrustedPlatform:
    """What runs, and the person who calls it."""

    platform: Platform
    vault: LocalVault
    redis: Redis
    trust: SecretsBackend
    person: Operator
    _token_file: Path

    async def token(
        self, tenant: str = "demo", scopes: Sequence[str] = SCOPES, **claims: Any
    ) -> str:
        """Signed by Vault's newest key, as the operator may have it."""
        now = int(time.time())
        payload = {
            "iss": "rag-dev", "aud": "rag", "sub": "tester", "tenant": tenant,
            "scope": " ".join(scopes), "iat": now, "exp": now + 3600, **claims,
        }  # fmt: skip
        options = VaultOptions(
            self.vault.address, "token", ca_file=self.vault.ca_file, token_file=self._token_file
        )
        async with open_vault(options) as opened:
            return await (await opened.signer(TOKEN_KEY)).sign(payload)

    async def identity(self, name: str) -> Certificate:
        """The certificate that Vault gives a service of that name, or the operator."""
        if name == "operator":
            read = (self.person.folder / file for file in ("tls.crt", "tls.key", "ca.crt"))
            chain, key, roots = (file.read_bytes() for file in read)
            return Certificate(chain, key, roots, 0.0)
        async with open_vault(entrance(self.vault, name)) as opened:
            names = CertificateNames.of(name, TRUST_DOMAIN, (name,))
            return (await opened.certificates(name, names, 3600)).current()

    def channel(self, service: str, shown: Certificate) -> grpc.aio.Channel:
        """To a service, by one who shows that certificate."""
        return grpc.aio.secure_channel(self.platform.address(service), channel_credentials(shown))

    def serial(self, service: str) -> int:
        """The serial number of the certificate that the service shows at a new handshake."""
        context = ssl.create_default_context(cafile=str(self.person.folder / "ca.crt"))
        context.load_cert_chain(self.person.folder / "tls.crt", self.person.folder / "tls.key")
        context.set_alpn_protocols(["h2"])
        address = ("127.0.0.1", self.platform.specs[service].port)
        with (
            socket.create_connection(address, 10) as plain,
            context.wrap_socket(plain, server_hostname=service) as opened,
        ):
            shown = opened.getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(shown or b"").serial_number

    def issued(self, service: str) -> list[float]:
        """When each of the certificates that the service was given ends, in seconds of Unix time."""
        text = (self.platform.home / "logs" / f"{service}.log").read_text("utf-8")
        lines = [line for line in text.splitlines() if '"certificate_issued"' in line]
        return [json.loads(line)["not_after"] for line in lines]

    async def page(self, service: str, path: str) -> httpx.Response:
        """A page of the service's plaintext port."""
        async with httpx.AsyncClient(trust_env=False) as client:
            port = self.platform.specs[service].http_port
            return await client.get(f"http://127.0.0.1:{port}{path}", timeout=10)

    async def renewed(self, more: int) -> None:
        """Return when every service has been given so many more certificates."""
        enough = {service: len(self.issued(service)) + more for service in SERVICES}

        def given() -> bool:
            return all(len(self.issued(service)) >= many for service, many in enough.items())

        await until(given, f"{more} new certificates for each service")

    async def lasting(self) -> None:
        """Return when every service has a certificate that outlives the tests."""
        let_leaves_live(self.vault, "168h")
        soon = time.time() + 600

        def lasts() -> bool:
            return all(self.issued(service)[-1] > soon for service in SERVICES)

        await until(lasts, "certificates that last")

    async def says(self, service: str, status: str) -> dict[str, Any]:
        """What the service says of itself, once it says that it is `status`."""

        async def said() -> dict[str, Any]:
            reported: dict[str, Any] = (await self.page(service, "/health/ready")).json()
            return reported if reported["status"] == status else {}

        return await until(said, f"the {service} says that it is {status}")

    def put(self, path: str, **fields: str) -> None:
        """Another version of a secret."""
        self.vault.root().secrets.kv.v2.create_or_update_secret(path, fields)

    @asynccontextmanager
    async def without_redis(self) -> AsyncIterator[None]:
        """Redis is away inside the block."""
        await asyncio.to_thread(self.redis.stop)
        try:
            yield
        finally:
            await asyncio.to_thread(self.redis.start)

    @asynccontextmanager
    async def without_vault(self, *, sealed: bool = False) -> AsyncIterator[None]:
        """Vault is away inside the block, or there and sealed."""
        server = self.vault.server
        await asyncio.to_thread(server.stop)
        if sealed:
            await asyncio.to_thread(server.start)
        try:
            yield
        finally:
            if not sealed:
                await asyncio.to_thread(server.start)
            await asyncio.to_thread(server.unseal)


@contextmanager
def trusted_platform(
    home: Path,
    environment: Mapping[str, str],
    *,
    passwords: Mapping[str, str],
    life: str = "168h",
) -> Iterator[TrustedPlatform]:
    """All of it; `passwords` are those of `redis` and `llm`, `life` is that of certificates."""
    for program in ("bao", PROGRAMS):
        tool(program, "make test installs it")
    held = {
        "gateway/redis": {"password": passwords["redis"]},
        "generator/llm": {"api_key": passwords["llm"]},
    }
    with ExitStack() as stack:
        store = Redis(home / "redis", passwords["redis"])
        stack.callback(store.stop)
        store.start()
        local = stack.enter_context(vault(home, held))
        let_leaves_live(local, life)
        trust = SecretsBackend(local, store.url)
        reported = {**_HASTE, **environment}
        platform = stack.enter_context(Platform(home, reported, trust.settings))
        person = issue_operator_credentials(
            local, home / "operator", issuer="rag-dev", audience="rag"
        )
        yield TrustedPlatform(platform, local, store, trust, person, local.operator_token())


def let_leaves_live(local: LocalVault, life: str) -> None:
    pki = local.root().secrets.pki
    for service in SERVICES:
        role = {**leaf_role(service, TRUST_DOMAIN), "ttl": life, "max_ttl": life}
        pki.create_or_update_role(service, role, mount_point="pki")


@dataclass(slots=True)
class Model:
    """An OpenAI-compatible server that keeps the keys it is shown.

    `endless` writes on until it is let go. Where `refusing`, it says 401, and repeats the key.
    """

    url: str = ""
    keys: list[str] = field(default_factory=list)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    refusing: bool = False

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = {name.lower(): value for name, value in _fields(head)}
        requested = json.loads(await reader.readexactly(int(fields["content-length"])))
        key = fields["authorization"].removeprefix("Bearer ")
        self.keys.append(key)
        if self.refusing:
            said = json.dumps({"error": {"message": f"Incorrect API key provided: {key}"}})
            writer.write(_head("401 Unauthorized", "application/json") + said.encode())
        else:
            writer.write(_head("200 OK", "text/event-stream") + _said("The warehouse opens "))
            while requested["model"] == ENDLESS and not await _within(0.1, self.go):
                writer.write(_said("and opens "))
            writer.write(_said("at seven.") + "".join(finish("stop")).encode())
        writer.close()


@dataclass(slots=True)
class Calls:
    """Calls that were answered, and how the others failed."""

    answered: int = 0
    failures: list[Refusal] = field(default_factory=list)
    running: bool = True

    async def flow(self, more: int = 10) -> None:
        """Return when so many more have ended well."""
        enough = self.answered + more
        await until(lambda: self.answered >= enough, "calls end well")


@asynccontextmanager
async def repeated(call: Callable[[], Awaitable[Any]], width: int = 4) -> AsyncIterator[Calls]:
    """The call is made again and again inside the block, by `width` at once."""
    created = Calls()

    async def work() -> None:
        while created.running:
            try:
                await call()
                created.answered += 1
            except grpc.aio.AioRpcError as error:
                created.failures.append(refusal(error))

    tasks = [asyncio.create_task(work()) for _ in range(width)]
    try:
        yield created
    finally:
        created.running = False
        await asyncio.gather(*tasks)


async def _within(seconds: float, event: asyncio.Event) -> bool:
    try:
        return await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False


def _fields(head: str) -> Iterator[tuple[str, str]]:
    for line in head.split("\r\n")[1:]:
        name, _, value = line.partition(": ")
        yield name, value


def _head(status: str, media_type: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"content-type: {media_type}", "connection: close", "", "")
    return "\r\n".join(lines).encode()


def _said(text: str) -> bytes:
    return "".join(words(text)).encode()
