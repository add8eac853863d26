"""Where credentials are kept: one suite for every store, and what a replica knows to be revoked."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from rag_common import errors
from rag_gateway.adapters.credentials.redis import RedisCredentials
from rag_gateway.adapters.credentials.revoked import Revoked
from rag_gateway.adapters.credentials.sqlite import SqliteCredentials
from rag_gateway.adapters.redis.connection import connected
from rag_gateway.credentials import ApiKey, Revocation, Revocations, key_name, mint, token_name
from tests.gateway.stores import Open, Store, in_file, in_redis
from tests.redis import RedisServer, redis_server
from tests.waiting import until

# Ahead of Redis's own clock, by which it drops what has ended, however long the tests before these took.
NOW = time.time() + 86_400
MOST = 1000


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server("--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


@pytest.fixture(params=["sqlite", "redis"])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    if request.param == "sqlite":
        return in_file(tmp_path / "credentials.sqlite")
    return in_redis(request.getfixturevalue("redis").url, f"{tmp_path.name}:")


@pytest.fixture
async def store(opening: Open) -> AsyncIterator[Store]:
    async with opening() as found:
        yield found


@pytest.fixture
async def other(opening: Open) -> AsyncIterator[Store]:
    async with opening() as found:
        yield found


def key(tenant: str = "acme", age: float = 0, **given: object) -> ApiKey:
    created = round(NOW - age, 3)
    made = mint()
    found = ApiKey(
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
    return replace(found, **given)  # type: ignore[arg-type]


async def test_what_was_added_is_found_as_it_was(store: Store) -> None:
    for added in (key(), key(collections=None)):
        await store.add(added, MOST)
        assert await store.find(added.key_id) == added


async def test_what_was_never_added_is_not_found(store: Store) -> None:
    assert await store.find("nobody") is None


async def test_keys_are_listed_newest_first_a_page_at_a_time(store: Store) -> None:
    # Some of them made in the same millisecond.
    keys = [key(age=n // 2) for n in range(7)]
    for one in keys:
        await store.add(one, MOST)
    expected = sorted(keys, key=lambda one: (one.created, one.key_id), reverse=True)
    found: list[ApiKey] = []
    after = None
    while page := await store.page("acme", 3, after):
        found += page
        after = (page[-1].created, page[-1].key_id)
    assert found == expected


async def test_a_tenant_s_list_holds_its_own_keys_alone(store: Store) -> None:
    await store.add(key("acme"), MOST)
    assert await store.page("beta", 10, None) == []


async def test_a_new_key_does_not_shift_the_pages_that_follow(store: Store) -> None:
    keys = [key(age=n) for n in range(4)]
    for one in keys:
        await store.add(one, MOST)
    await store.add(key(age=-5), MOST)
    page = await store.page("acme", 2, (keys[1].created, keys[1].key_id))
    assert page == keys[2:]


async def test_a_tenant_has_a_bounded_number_of_keys(store: Store) -> None:
    for tenant in ("acme", "acme", "beta"):
        await store.add(key(tenant), 2)
    with pytest.raises(errors.ResourceExhausted):
        await store.add(key("acme"), 2)


async def test_a_revoked_key_says_when(store: Store) -> None:
    added = key()
    await store.add(added, MOST)
    expected = replace(added, revoked=round(NOW, 3))
    assert await store.revoke("acme", added.key_id, NOW) == expected
    assert await store.find(added.key_id) == expected


async def test_revoking_again_changes_nothing(store: Store) -> None:
    added = key()
    await store.add(added, MOST)
    await store.revoke("acme", added.key_id, NOW)
    again = await store.revoke("acme", added.key_id, NOW + 10)
    assert again
    assert again.revoked == round(NOW, 3)
    assert len((await store.revocations(0, 10)).found) == 1


async def test_another_tenant_s_key_cannot_be_revoked(store: Store) -> None:
    added = key("acme")
    await store.add(added, MOST)
    assert await store.revoke("beta", added.key_id, NOW) is None
    assert await store.revoke("acme", "nobody", NOW) is None
    assert await store.find(added.key_id) == added
    assert (await store.revocations(0, 10)).found == ()


async def test_the_last_use_only_moves_on(store: Store) -> None:
    added = key()
    await store.add(added, MOST)
    await store.used({added.key_id: 600.0, "nobody": 600.0})
    await store.used({added.key_id: 540.0})
    assert await store.find(added.key_id) == replace(added, last_used=600.0)
    assert await store.find("nobody") is None


async def test_the_log_tells_what_came_after_a_place(store: Store) -> None:
    added = key()
    await store.add(added, MOST)
    await store.revoke("acme", added.key_id, NOW)
    first = await store.revocations(0, 10)
    revocation = Revocation(token_name("acme", "t-1"), round(NOW + 600, 3))
    await store.refuse("acme", revocation, NOW, MOST)
    assert first.found == (Revocation(key_name(added.key_id), added.expires),)
    second = await store.revocations(first.place, 10)
    assert second.found == (revocation,)
    assert (await store.revocations(second.place, 10)) == Revocations((), second.place)


async def test_the_log_is_read_a_page_at_a_time(store: Store) -> None:
    for number in range(5):
        await store.refuse("acme", Revocation(f"token:acme:{number}", NOW + 600), NOW, MOST)
    place, names = 0, list[str]()
    while page := await store.revocations(place, 2):
        names += [found.name for found in page.found]
        place = page.place
        if len(page.found) < 2:
            break
    assert names == [f"token:acme:{number}" for number in range(5)]


async def test_what_has_ended_by_itself_leaves_the_log(store: Store) -> None:
    await store.refuse("acme", Revocation("token:acme:old", NOW + 60), NOW, MOST)
    await store.refuse("acme", Revocation("token:acme:new", NOW + 600), NOW + 61, MOST)
    names = [found.name for found in (await store.revocations(0, 10)).found]
    assert names == ["token:acme:new"]


async def test_a_tenant_has_a_bounded_number_of_refused_tokens_alive(store: Store) -> None:
    for name in ("one", "two"):
        await store.refuse("acme", Revocation(name, NOW + 60), NOW, 2)
    with pytest.raises(errors.ResourceExhausted):
        await store.refuse("acme", Revocation("three", NOW + 60), NOW, 2)
    await store.refuse("acme", Revocation("two", NOW + 90), NOW, 2)
    await store.refuse("beta", Revocation("three", NOW + 60), NOW, 2)
    await store.refuse("acme", Revocation("three", NOW + 160), NOW + 100, 2)


async def test_what_one_replica_writes_another_reads(store: Store, other: Store) -> None:
    added = key()
    await store.add(added, MOST)
    assert await other.find(added.key_id) == added


async def test_many_writers_at_once_lose_nothing(store: Store, other: Store) -> None:
    def refuse(number: int) -> Awaitable[None]:
        name = f"token:acme:{number}"
        return (store, other)[number % 2].refuse("acme", Revocation(name, NOW + 600), NOW, MOST)

    await asyncio.gather(*map(refuse, range(40)))
    assert len((await store.revocations(0, 100)).found) == 40


async def test_a_sqlite_file_keeps_everything_and_is_its_owner_s_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "credentials.sqlite"
    added = key()
    async with SqliteCredentials(path) as store:
        await store.add(added, MOST)
        await store.revoke("acme", added.key_id, NOW)
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
        assert len(modes) == 3
        assert set(modes.values()) == {0o600}
    async with SqliteCredentials(path) as store:
        found = await store.find(added.key_id)
        assert found
        assert found.revoked
        assert len((await store.revocations(0, 10)).found) == 1


async def test_redis_keeps_everything_through_a_crash(redis: RedisServer) -> None:
    added = key()
    async with connected(redis.url) as client:
        store = RedisCredentials(client, "crash:")
        await store.add(added, MOST)
        await store.revoke("acme", added.key_id, NOW)
        redis.kill()
        redis.start()
        found = await until(lambda: _tried(store.find(added.key_id)), "redis answers again")
        assert found.revoked
        assert len((await store.revocations(0, 10)).found) == 1


async def test_what_is_no_database_is_not_used_as_one(tmp_path: Path) -> None:
    path = tmp_path / "credentials.sqlite"
    path.write_bytes(os.urandom(8192))
    with pytest.raises(OSError, match="credentials"):
        await SqliteCredentials(path).__aenter__()


async def test_a_store_that_is_down_is_unavailable(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        with redis_server() as server:
            redis = RedisCredentials(await stack.enter_async_context(connected(server.url)))
            await redis.find("x")
        sqlite = SqliteCredentials(tmp_path / "credentials.sqlite")
        for call in (redis.find("x"), redis.revocations(0, 10), sqlite.find("x")):
            with pytest.raises(errors.Unavailable) as raised:
                await call
            assert raised.value.retry_after


async def test_a_frozen_redis_is_not_waited_for_without_end() -> None:
    with redis_server() as server:
        async with connected(server.url) as client:
            server.freeze()
            with pytest.raises(errors.Unavailable):
                await RedisCredentials(client).find("x")
            server.thaw()


async def test_a_replica_refuses_at_once_what_it_was_told_itself(store: Store) -> None:
    revoked = Revoked(store, stale=900)
    await revoked.refresh()
    revoked.check("token:acme:1")
    revoked.add(Revocation("token:acme:1", NOW + 600))
    with pytest.raises(errors.KeyRevoked):
        revoked.check("token:acme:1")
    revoked.check("token:acme:2")


async def test_a_replica_hears_of_what_the_others_revoked(store: Store, other: Store) -> None:
    revoked = Revoked(store, stale=900)
    async with revoked.following(0.05):
        await until(lambda: _known(revoked) is False, "the list was read")
        await other.refuse("acme", Revocation("token:acme:1", NOW + 600), NOW, MOST)
        await until(lambda: _known(revoked), "the other replica's revocation arrived")


async def test_a_log_of_many_pages_is_read_to_its_end(tmp_path: Path) -> None:
    revoked = Revoked(_Counting(2500), stale=900)
    await revoked.refresh()
    for number in (1, 1000, 2000, 2500):
        with pytest.raises(errors.KeyRevoked):
            revoked.check(str(number))


async def test_a_log_that_went_back_is_read_from_its_beginning() -> None:
    log = _Counting(9)
    revoked = Revoked(log, stale=900)
    await revoked.refresh()
    log.names = ["lost and found"]
    await revoked.refresh()
    with pytest.raises(errors.KeyRevoked):
        revoked.check("lost and found")


async def test_a_replica_that_never_read_the_list_lets_nobody_in() -> None:
    revoked = Revoked(_Counting(0), stale=900)
    with pytest.raises(errors.Unavailable):
        revoked.check("token:acme:1")
    await revoked.ready()
    revoked.check("token:acme:1")


async def test_the_list_is_good_for_a_bounded_time_without_its_store() -> None:
    now = [NOW]
    log = _Counting(1)
    revoked = Revoked(log, stale=900, clock=lambda: now[0])
    await revoked.refresh()
    log.names = None
    now[0] += 899
    revoked.check("unknown")
    now[0] += 2
    with pytest.raises(errors.Unavailable):
        revoked.check("unknown")
    with pytest.raises(errors.KeyRevoked):
        revoked.check("1")
    with pytest.raises(errors.Unavailable):
        await revoked.ready()


async def test_what_ended_by_itself_is_forgotten() -> None:
    now = [NOW]
    log = _Counting(1)
    revoked = Revoked(log, stale=900, clock=lambda: now[0])
    await revoked.refresh()
    log.names = []
    now[0] += 10_000
    await revoked.refresh()
    revoked.check("1")


class _Counting:
    """A log of numbers; down where it has no names."""

    def __init__(self, size: int) -> None:
        self.names: list[str] | None = [str(number) for number in range(1, size + 1)]

    async def revocations(self, after: int, size: int) -> Revocations:
        if self.names is None:
            raise errors.Unavailable("down")
        found = self.names[after : after + size]
        revocations = tuple(Revocation(name, NOW + 3600) for name in found)
        return Revocations(revocations, min(after + size, len(self.names)))


async def _tried(call: Awaitable[ApiKey | None]) -> ApiKey | None:
    try:
        return await call
    except errors.Unavailable:
        return None


def _known(revoked: Revoked) -> bool | None:
    """Whether it is revoked; None where that is not known yet."""
    try:
        revoked.check("token:acme:1")
    except errors.KeyRevoked:
        return True
    except errors.Unavailable:
        return None
    return False
