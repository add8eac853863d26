"""Random calls of several tenants, over every RPC and on wrong paths: no secret of one comes out to another."""

import asyncio
import os
import random
import secrets
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from rag_gateway.auth.policy import SCOPES
from tests.e2e.platform import Platform
from tests.e2e.reflected import Method, methods

STEPS = int(os.environ.get("ISOLATION_STEPS", "250"))
LONG_STEPS = int(os.environ.get("ISOLATION_STEPS", "100000"))
SEED = int(os.environ.get("ISOLATION_SEED", "0")) or secrets.randbits(32)
TENANTS = 3
AT_ONCE = 6

_QUESTIONS = ("비밀 계약의 금액은 얼마인가요?", "contract amount", "금액", "휴가 규정", "제목")


@dataclass
class Tenant:
    """Who calls, and the text that nobody else may ever see."""

    name: str
    token: str
    secret: str
    seen: Counter[str] = field(default_factory=Counter)

    def content(self, number: int) -> str:
        return f"비밀 계약 {number}의 금액은 {self.secret} 원입니다. The contract amount is {self.secret}."


@dataclass
class World:
    """What every tenant has come to know of every other: ids, names and page tokens, never contents."""

    tenants: list[Tenant]
    random: random.Random
    documents: list[str] = field(default_factory=lambda: ["doc-1", "unknown"])
    collections: list[str] = field(default_factory=lambda: ["default", "deals", "unknown"])
    pages: list[str] = field(default_factory=lambda: [""])
    keys: list[str] = field(default_factory=lambda: ["unknown"])
    tokens: list[str] = field(default_factory=lambda: ["unknown"])
    leaks: list[str] = field(default_factory=list)
    # By name of the method and code.
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def values(self, tenant: Tenant) -> dict[str, Any]:
        """A value for every field that has a name among these, at any depth."""
        pick, number = self.random.choice, self.random.randrange(6)
        values = {
            "query": pick([*_QUESTIONS, "가" * 5000]) if number else tenant.secret,
            "text": tenant.content(number),
            "content": tenant.content(number).encode(),
            "title": f"제목 {tenant.secret}",
            "uri": f"https://example/{tenant.secret}",
            "metadata": {"fact": tenant.secret},
            "display_name": f"key {tenant.secret}",
            "subject": f"robot-{tenant.secret}",
            "scopes": pick([*SCOPES, "root"]),
            "document_id": pick(self.documents),
            "collection": pick(self.collections),
            "page_token": pick(self.pages),
            "page_size": number,
            "api_key_id": pick(self.keys),
            "token_id": pick(self.tokens),
            # One id for everybody: what is kept for repeats must not cross either.
            "request_id": pick(["", "", "shared-1", "shared-2", f"own-{self.random.random()}"]),
            "explain": bool(number % 2),
            "top_k": number * 10,
            "mode": number % 5,
        }
        if self.random.random() < 0.5:
            values["collections"] = pick(self.collections)
        return values

    def learn(self, message: Message) -> None:
        """Keep the ids of a reply, so that any tenant may try them."""
        for name, value in _strings(message):
            known = {
                "document_id": self.documents,
                "collection": self.collections,
                "next_page_token": self.pages,
                "api_key_id": self.keys,
                "token_id": self.tokens,
            }.get(name)
            if known is not None and value and value not in known and len(known) < 40:
                known.append(value)

    def table(self) -> str:
        """How the calls ended, a line for each method and code."""
        rows = sorted(self.outcomes.items())
        return "\n".join(f"{method:24} {code:20} {count:7}" for (method, code), count in rows)

    def total(self, code: str) -> int:
        """How many calls ended with the code."""
        return sum(count for (_, result), count in self.outcomes.items() if result == code)

    def judge(self, tenant: Tenant, method: Method, said: bytes) -> None:
        """Note every secret in what came out: one's own is well, another's is a leak."""
        for other in self.tenants:
            if other.secret.encode() in said:
                other.seen[method.name] += 1
                if other is not tenant:
                    self.leaks.append(f"{method.name} told {tenant.name} of {other.name}")


@pytest.fixture
def world(platform: Platform) -> World:
    scopes = [scope for scope in SCOPES if scope != "platform"]
    created = []
    for letter in "abc"[:TENANTS]:
        name = f"iso-{letter}-{secrets.token_hex(4)}"
        token = platform.token(name, scopes, sub=f"{letter}-admin", jti=secrets.token_hex(8))
        created.append(Tenant(name, token, f"zq{secrets.token_hex(8)}"))
    return World(created, random.Random(SEED))


async def test_no_byte_of_a_tenant_comes_out_to_another(
    platform: Platform, channel: grpc.aio.Channel, world: World
) -> None:
    await _play(platform, channel, world, STEPS)


@pytest.mark.long
async def test_over_a_long_time_no_byte_of_a_tenant_comes_out_to_another(
    platform: Platform, channel: grpc.aio.Channel, world: World
) -> None:
    await _play(platform, channel, world, LONG_STEPS)


async def _play(platform: Platform, channel: grpc.aio.Channel, world: World, steps: int) -> None:
    """So many random calls; then look at what came out, and at how they ended."""
    public = methods(platform.target)
    room = asyncio.Semaphore(AT_ONCE)

    async def step(tenant: Tenant, method: Method, requests: list[Message], rush: float) -> None:
        async with room:
            await _call(world, channel, tenant, method, requests, rush)

    for round_ in range(steps // 25):
        moves = []
        for _ in range(25):
            tenant, method = world.random.choice(world.tenants), world.random.choice(public)
            rush = world.random.choice([60.0] * 15 + [0.03])
            moves.append(step(tenant, method, _requests(world, tenant, method), rush))
        if round_ == 0:
            moves += [_first(world, channel, public, tenant) for tenant in world.tenants]
        await asyncio.gather(*moves)
    seed = f"ISOLATION_SEED={SEED}\n{world.table()}"
    sys.stdout.write(f"{seed}\n")
    assert not world.leaks, seed
    # The marks do come out to their owners: the test would see them if they came out to others.
    for tenant in world.tenants:
        assert tenant.seen, seed
    assert world.total("OK") > steps // 10, seed
    # Every call is counted, and nobody has cancelled one.
    assert world.outcomes.total() == steps // 25 * 25 + 2 * TENANTS, seed
    for code in ("CANCELLED", "INTERNAL", "UNKNOWN"):
        assert not world.total(code), (code, seed)


async def _first(
    world: World, channel: grpc.aio.Channel, public: list[Method], tenant: Tenant
) -> None:
    """A document of everybody's, so that there is something to be found from the start."""
    ingest = next(method for method in public if method.name == "IngestDocument")
    request = ingest.request(document_id="doc-1", content=tenant.content(0).encode())
    await _call(world, channel, tenant, ingest, [request], 60)
    search = next(method for method in public if method.name == "Search")
    await _call(world, channel, tenant, search, [search.request(query=_QUESTIONS[0])], 60)


async def _call(
    world: World,
    channel: grpc.aio.Channel,
    tenant: Tenant,
    method: Method,
    requests: list[Message],
    seconds: float,
) -> None:
    other = world.random.choice(world.tenants).name
    metadata = (
        ("authorization", f"Bearer {tenant.token}"),
        ("x-tenant", other),
        ("x-rag-tenant", other),
        ("x-request-id", "shared"),
        ("accept-language", world.random.choice(["ko-KR", "en-US"])),
    )
    try:
        # A CancelledError is let through: nobody cancels here, and it fails the test.
        replies = await method(channel, metadata, *requests, timeout=seconds)
    except grpc.aio.AioRpcError as error:
        world.outcomes[method.name, error.code().name] += 1
        trailing: Any = error.trailing_metadata() or ()
        parts = [str(error.details()), *(str(value) for _, value in trailing)]
        world.judge(tenant, method, "\n".join(parts).encode())
        return
    world.outcomes[method.name, "OK"] += 1
    for reply in replies:
        world.judge(tenant, method, reply.SerializeToString())
        world.learn(reply)


def _requests(world: World, tenant: Tenant, method: Method) -> list[Message]:
    values = world.values(tenant)
    if not method.description.client_streaming:
        return [method.request(**values)]
    content = values.pop("content")
    header = method.request(**values)
    return [header, type(header)(content=content)]


def _strings(message: Message) -> Iterator[tuple[str, str]]:
    """Every text field of a message, at any depth."""
    for descriptor, value in message.ListFields():
        values = value if descriptor.is_repeated else [value]
        if descriptor.message_type is not None and descriptor.message_type.GetOptions().map_entry:
            continue
        for each in values:
            if isinstance(each, str):
                yield descriptor.name, each
            elif isinstance(each, Message):
                yield from _strings(each)
