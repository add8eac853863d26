"""Where credentials are kept: one suite for every store, and what a replica knows to be revoked."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from rag_contract import errors
from rag_gateway.auth.credentials import (
    ApiKey,
    Revocation,
    Revocations,
    generate_api_key,
    key_name,
    token_name,
)
from rag_gateway.auth.revocations import RevocationCache
from rag_gateway.auth.stores.redis import RedisCredentials
from rag_gateway.auth.stores.sqlite import SqliteCredentials
from rag_gateway.redis import connection
from rag_gateway.redis.connection import connected
from tests.support.clock import Clock
from tests.support.redis import RedisServer, redis_server
from tests.support.waiting import until

Store = SqliteCredentials | RedisCredentials
Open = Callable[[], AbstractAsyncContextManager[Store]]

# Ahead of Redis's own clock, by which it drops what has ended, however long the tests before these took.
NOW = time.time() + 86_400
MAX_KEYS = 1000


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server("--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


@pytest.fixture(params=["sqlite", "redis"])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens a store; a second time, as another process or replica does."""
    if request.param == "sqlite":
        return lambda: SqliteCredentials(tmp_path / "credentials.sqlite")
    server: RedisServer = request.getfixturevalue("redis")

    @asynccontextmanager
    async def over_redis() -> AsyncIterator[RedisCredentials]:
        async with connected(server.url) as client:
            yield RedisCredentials(client, f"{tmp_path.name}:")

    return over_redis


@pytest.fixture
async def store(opening: Open) -> AsyncIterator[Store]:
    async with opening() as result:
        yield result


@pytest.fixture
async def other(opening: Open) -> AsyncIterator[Store]:
    async with opening() as result:
        yield result


def key(tenant: str = "acme", age: float = 0, **given: object) -> ApiKey:
    created = round(NOW - age, 3)
    made = generate_api_key()
    result = ApiKey(
        key_id=made.key_id,
        tenant=tenant,
        display_name="야간 수집",
        scopes=("answer", "search"),
        collections=("hr", "law"),
        created_by="kim",
        created=created,
        expires=round(created + 86_400, 3),
        digest=made.digest,
    )
    return replace(result, **given)  # type: ignore[arg-type]


async def test_what_was_added_is_found_as_it_was(store: Store) -> None:
    for added in (key(), key(collections=None)):
        await store.add(added, MAX_KEYS)
        assert await store.find(added.key_id) == added
    assert await store.find("nobody") is None


async def test_keys_are_listed_newest_first_a_page_at_a_time(store: Store) -> None:
    # Some of them made in the same millisecond.
    keys = [key(age=n // 2) for n in range(7)]
    for one in keys:
        await store.add(one, MAX_KEYS)
    expected = sorted(keys, key=lambda one: (one.created, one.key_id), reverse=True)
    result: list[ApiKey] = []
    after = None
    while page := await store.page("acme", 3, after):
        result += page
        after = (page[-1].created, page[-1].key_id)
    assert result == expected
    assert await store.page("beta", 10, None) == []


async def test_a_new_key_does_not_shift_the_pages_that_follow(store: Store) -> None:
    keys = [key(age=n) for n in range(4)]
    for one in keys:
        await store.add(one, MAX_KEYS)
    await store.add(key(age=-5), MAX_KEYS)
    page = await store.page("acme", 2, (keys[1].created, keys[1].key_id))
    assert page == keys[2:]


async def test_a_tenant_has_a_bounded_number_of_keys(store: Store) -> None:
    for tenant in ("acme", "acme", "beta"):
        await store.add(key(tenant), 2)
    with pytest.raises(errors.ApiKeyLimit) as raised:
        await store.add(key("acme"), 2)
    assert raised.value.retry_after is None


async def test_the_bound_on_keys_holds_for_many_writers_at_once(store: Store, other: Store) -> None:
    await store.add(key("acme"), 5)
    writers = [(store, other)[n % 2].add(key("acme"), 5) for n in range(40)]
    outcomes = await asyncio.gather(*writers, return_exceptions=True)
    assert sum(one is None for one in outcomes) == 4
    assert {type(one) for one in outcomes if one is not None} == {errors.ApiKeyLimit}
    assert len(await store.page("acme", 100, None)) == 5


async def test_a_tenant_has_a_bounded_number_of_revoked_keys(store: Store) -> None:
    for age in range(9, 0, -1):
        added = key(age=age)
        await store.add(added, 2)
        await store.revoke("acme", added.key_id, NOW)
    await store.add(key(age=0), 2)
    ages = [round(NOW - one.created) for one in await store.page("acme", 100, None)]
    assert ages == [0, 1, 2]


async def test_a_revoked_or_expired_key_makes_room_for_another(store: Store) -> None:
    for _ in range(3):
        await store.add(replace(key(), expires=round(time.time() - 1, 3)), 2)
    revoked = key()
    await store.add(revoked, 1)
    await store.revoke("acme", revoked.key_id, NOW)
    await store.add(key(), 1)
    with pytest.raises(errors.ApiKeyLimit):
        await store.add(key(), 1)


async def test_a_revoked_key_says_when_it_was_revoked_first(store: Store) -> None:
    added = key()
    await store.add(added, MAX_KEYS)
    expected = replace(added, revoked=round(NOW, 3))
    for moment in (NOW, NOW + 10):
        assert await store.revoke("acme", added.key_id, moment) == expected
    assert await store.find(added.key_id) == expected
    assert len((await store.revocations(0, 10)).items) == 1


async def test_another_tenant_s_key_cannot_be_revoked(store: Store) -> None:
    added = key("acme")
    await store.add(added, MAX_KEYS)
    assert await store.revoke("beta", added.key_id, NOW) is None
    assert await store.revoke("acme", "nobody", NOW) is None
    assert await store.find(added.key_id) == added
    assert (await store.revocations(0, 10)).items == ()


async def test_the_last_use_only_moves_on(store: Store) -> None:
    added = key()
    await store.add(added, MAX_KEYS)
    await store.used({added.key_id: 600.0, "nobody": 600.0})
    await store.used({added.key_id: 540.0})
    assert await store.find(added.key_id) == replace(added, last_used=600.0)
    assert await store.find("nobody") is None


async def test_the_log_is_read_from_a_place_and_a_page_at_a_time(store: Store) -> None:
    added = key()
    await store.add(added, MAX_KEYS)
    await store.revoke("acme", added.key_id, NOW)
    expected = [Revocation(key_name(added.key_id), added.expires)]
    for number in range(4):
        revocation = Revocation(token_name("acme", f"t-{number}"), round(NOW + 600, 3))
        await store.refuse("acme", revocation, NOW, MAX_KEYS)
        expected.append(revocation)
    position, items = 0, list[Revocation]()
    for size in (2, 2, 1, 0):
        page = await store.revocations(position, 2)
        assert len(page.items) == size
        items += page.items
        position = page.position
    assert items == expected
    assert await store.revocations(position, 2) == Revocations((), position)


async def test_what_has_ended_by_itself_leaves_the_log(store: Store) -> None:
    await store.refuse("acme", Revocation("token:acme:old", NOW + 60), NOW, MAX_KEYS)
    await store.refuse("acme", Revocation("token:acme:new", NOW + 600), NOW + 61, MAX_KEYS)
    names = [result.name for result in (await store.revocations(0, 10)).items]
    assert names == ["token:acme:new"]


async def test_a_tenant_has_a_bounded_number_of_refused_tokens_alive(store: Store) -> None:
    for name in ("one", "two"):
        await store.refuse("acme", Revocation(name, NOW + 60), NOW, 2)
    with pytest.raises(errors.RevokedTokenLimit):
        await store.refuse("acme", Revocation("three", NOW + 60), NOW, 2)
    await store.refuse("acme", Revocation("two", NOW + 90), NOW, 2)
    await store.refuse("beta", Revocation("three", NOW + 60), NOW, 2)
    await store.refuse("acme", Revocation("three", NOW + 160), NOW + 100, 2)


async def test_many_writers_at_once_lose_nothing(store: Store, other: Store) -> None:
    def refuse(number: int) -> Awaitable[None]:
        name = f"token:acme:{number}"
        return (store, other)[number % 2].refuse("acme", Revocation(name, NOW + 600), NOW, MAX_KEYS)

    await asyncio.gather(*map(refuse, range(40)))
    assert len((await store.revocations(0, 100)).items) == 40


async def test_a_sqlite_file_keeps_everything_and_is_its_owner_s_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "credentials.sqlite"
    added = key()
    async with SqliteCredentials(path) as store:
        await store.add(added, MAX_KEYS)
        await store.revoke("acme", added.key_id, NOW)
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
        assert len(modes) == 3
        assert set(modes.values()) == {0o600}
    async with SqliteCredentials(path) as store:
        result = await store.find(added.key_id)
        assert result
        assert result.revoked
        assert len((await store.revocations(0, 10)).items) == 1


async def test_redis_keeps_everything_through_a_crash(redis: RedisServer) -> None:
    added = key()
    async with connected(redis.url) as client:
        store = RedisCredentials(client, "crash:")
        await store.add(added, MAX_KEYS)
        await store.revoke("acme", added.key_id, NOW)
        redis.kill()
        redis.start()
        result = await until(lambda: _tried(store.find(added.key_id)), "redis answers again")
        assert result.revoked
        assert len((await store.revocations(0, 10)).items) == 1


async def test_what_is_no_database_is_not_used_as_one(tmp_path: Path) -> None:
    path = tmp_path / "credentials.sqlite"
    path.write_bytes(os.urandom(8192))
    with pytest.raises(OSError, match="credentials"):
        await SqliteCredentials(path).__aenter__()


async def test_a_store_that_hangs_or_is_down_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_ANSWER_SECONDS", 0.5)
    async with AsyncExitStack() as stack:
        with redis_server() as server:
            redis = RedisCredentials(await stack.enter_async_context(connected(server.url)))
            await redis.find("x")
            server.freeze()
            with pytest.raises(errors.Unavailable):
                await redis.find("x")
            server.thaw()
        sqlite = SqliteCredentials(tmp_path / "credentials.sqlite")
        for call in (redis.find("x"), redis.revocations(0, 10), sqlite.find("x")):
            with pytest.raises(errors.Unavailable) as raised:
                await call
            assert raised.value.retry_after


async def test_a_log_of_many_pages_is_read_to_its_end_and_again_if_it_went_back() -> None:
    log = _Counting(2500)
    revoked = RevocationCache(log, stale=900)
    await revoked.refresh()
    log.names = ["lost and found"]
    await revoked.refresh()
    for name in ("1", "1000", "2000", "2500", "lost and found"):
        with pytest.raises(errors.KeyRevoked):
            revoked.check(name)


async def test_the_list_is_read_first_and_good_for_a_bounded_time_without_its_store() -> None:
    clock, log = Clock(NOW), _Counting(1)
    revoked = RevocationCache(log, stale=900, clock=clock)
    with pytest.raises(errors.Unavailable):
        revoked.check("unknown")
    await revoked.ready()
    log.names = None
    clock.now += 899
    revoked.check("unknown")
    clock.now += 2
    with pytest.raises(errors.Unavailable):
        revoked.check("unknown")
    with pytest.raises(errors.KeyRevoked):
        revoked.check("1")
    with pytest.raises(errors.Unavailable):
        await revoked.ready()
    log.names = []
    clock.now += 10_000
    await revoked.refresh()
    # It has ended by itself.
    revoked.check("1")


class _Counting:
    """A log of numbers; unavailable if it has no names."""

    def __init__(self, size: int) -> None:
        self.names: list[str] | None = [str(number) for number in range(1, size + 1)]

    async def revocations(self, after: int, size: int) -> Revocations:
        if self.names is None:
            raise errors.DependencyDown("down")
        result = self.names[after : after + size]
        revocations = tuple(Revocation(name, NOW + 3600) for name in result)
        return Revocations(revocations, min(after + size, len(self.names)))


async def _tried(call: Awaitable[ApiKey | None]) -> ApiKey | None:
    try:
        return await call
    except errors.Unavailable:
        return None
