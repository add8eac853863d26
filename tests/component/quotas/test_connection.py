"""The way to Redis: passwords that change, TLS, a bounded pool, and addresses that cannot be."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from rag_common.settings import SettingsInvalid
from rag_gateway.idempotency.service import Key
from rag_gateway.quotas.buckets import Bucket, Request
from rag_gateway.redis.connection import Credentials, connected
from tests.support.client.certificates import self_signed
from tests.support.quotas.stores import LEASE, replica
from tests.support.redis import RedisServer, redis_server

BUCKET = Bucket("calls", 1000)
KEY = Key("acme", "Answer", "id")

# What the gateway's user of Redis must be allowed, and no more.
NEEDED = (
    "evalsha script|load time get set pexpire zadd zcount zrem zremrangebyscore hset hget hmget del"
)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server("--requirepass", "root") as server:
        yield server


def root() -> tuple[str, str]:
    return "", "root"


async def test_a_password_that_is_rotated_fails_no_call(server: RedisServer) -> None:
    """The new password is set, the old one revoked, and every connection cut."""
    now = ["first"]
    async with (
        connected(server.url, credentials=root) as admin,
        replica(server.url, credentials=lambda: ("gateway", now[0])) as mine,
    ):
        await admin.acl_setuser("gateway", enabled=True, passwords=["+first"],
                                keys=["rag:*"], commands=["+@all"])  # fmt: skip
        await asyncio.gather(*(mine.acquire(BUCKET) for _ in range(20)))
        now[0] = "second"
        await admin.acl_setuser("gateway", enabled=True, passwords=["+second", "-first"],
                                keys=["rag:*"], commands=["+@all"])  # fmt: skip
        await admin.client_kill_filter(_type="normal", skipme=True)
        result = await asyncio.gather(*(mine.acquire(BUCKET) for _ in range(20)))
        assert all(each.granted and not each.local for each in result)
        assert mine.store.available


async def test_few_rights_are_enough(server: RedisServer) -> None:
    rights = ["-@all", *(f"+{name}" for name in NEEDED.split())]
    async with (
        connected(server.url, credentials=root) as admin,
        replica(server.url, credentials=lambda: ("limited", "own")) as mine,
    ):
        await admin.acl_setuser("limited", enabled=True, passwords=["+own"],
                                keys=["rag:*"], commands=rights)  # fmt: skip
        requests = [Request(BUCKET, 1), Request(Bucket("streams", 5, held=True), 1)]
        assert not (await mine.buckets.acquire("acme", requests, LEASE)).local
        await mine.buckets.renew("acme", [requests[1].bucket], LEASE, local=False)
        await mine.buckets.settle("acme", requests, LEASE, local=False)
        await mine.replies.claim(KEY, "print", LEASE)
        await mine.replies.renew(KEY, LEASE)
        await mine.replies.finish(KEY, "print", LEASE, b"reply")
        await mine.replies.release(KEY, LEASE)
        assert mine.store.available


def wrong() -> tuple[str, str]:
    return "", "wrong"


def sealed() -> tuple[str, str]:
    raise LookupError("the vault is sealed")


@pytest.mark.parametrize("credentials", [wrong, sealed])
async def test_without_a_valid_password_the_local_buckets_are_used(
    server: RedisServer, credentials: Credentials
) -> None:
    async with replica(server.url, credentials=credentials) as mine:
        assert (await mine.acquire(BUCKET)).local


async def test_connections_are_bounded_and_callers_wait_for_one(server: RedisServer) -> None:
    async with (
        connected(server.url, credentials=root) as admin,
        connected(server.url, credentials=root, connections=3) as client,
    ):
        own = await admin.client_id()
        await asyncio.gather(*(client.ping() for _ in range(100)))
        later = [one for one in await admin.client_list(_type="normal") if int(one["id"]) > own]
        assert 1 <= len(later) <= 3


async def test_only_a_certificate_of_our_own_authority_is_accepted(
    server: RedisServer, tmp_path: Path
) -> None:
    async with behind_tls(server, tmp_path) as (url, ca_file):
        async with replica(url, credentials=root, ca_file=ca_file) as mine:
            assert not (await mine.acquire(BUCKET)).local
        async with connected(url, credentials=root) as client:
            with pytest.raises(RedisError, match="certificate verify failed"):
                await client.ping()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1", "or rediss://"),
        ("unix:///tmp/redis", "or rediss://"),
        ("redis:///0", "or rediss://"),
        ("redis://kim:secret@127.0.0.1", "no user, no password"),
        ("redis://:secret@127.0.0.1", "no user, no password"),
        ("rediss://127.0.0.1?ssl_cert_reqs=none", "no options"),
        ("redis://127.0.0.1:port", "not a number"),
        ("redis://127.0.0.1:6379/first", "not a number"),
    ],
)
async def test_an_address_that_cannot_be_is_one_sentence_without_the_secret(
    url: str, why: str
) -> None:
    with pytest.raises(SettingsInvalid, match=why) as raised:
        async with connected(url):
            pass
    assert "secret" not in str(raised.value)


async def test_roots_that_are_not_there_are_one_sentence() -> None:
    with pytest.raises(SettingsInvalid, match="is not a file"):
        async with connected("rediss://localhost:6379/0", ca_file="/nowhere/ca.pem"):
            pass


@asynccontextmanager
async def behind_tls(server: RedisServer, folder: Path) -> AsyncIterator[tuple[str, str]]:
    """The server behind real TLS with a certificate of its own; the URL and the certificate's file."""
    key, certificate = self_signed()
    (folder / "key.pem").write_bytes(key)
    (folder / "cert.pem").write_bytes(certificate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))

    listener = await asyncio.start_server(forward, "127.0.0.1", 0, ssl=context)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        yield f"rediss://localhost:{port}/0", str(folder / "cert.pem")


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()
