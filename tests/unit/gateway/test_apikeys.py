"""API keys as callers show them: what they open, how soon they stop, and what guessing one costs."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace

import pytest

from rag_common.context import Principal
from rag_contract import errors
from rag_gateway.auth import api_keys
from rag_gateway.auth.api_keys import ApiKeyVerifier
from rag_gateway.auth.audit import Audit
from rag_gateway.auth.authenticator import Authenticator
from rag_gateway.auth.credentials import (
    ApiKey,
    NewApiKey,
    Revocation,
    generate_api_key,
    key_name,
    parse,
)
from rag_gateway.auth.policy import AccessPolicy
from rag_gateway.auth.revocations import RevocationCache
from rag_gateway.auth.stores.sqlite import SqliteCredentials
from tests.support.clock import Clock
from tests.support.waiting import until

SEARCH = "/rag.gateway.v1.AnswerService/Search"
NOW = time.time()


class MonitoredStore:
    """A store that counts its calls, and can be unavailable."""

    def __init__(self, store: SqliteCredentials) -> None:
        self._store = store
        self.lookups: list[str] = []
        self.written: list[dict[str, float]] = []
        self.unavailable = False

    async def find(self, key_id: str) -> ApiKey | None:
        self.lookups.append(key_id)
        self._check()
        return await self._store.find(key_id)

    async def used(self, times: Mapping[str, float]) -> None:
        self._check()
        self.written.append(dict(times))
        await self._store.used(times)

    def _check(self) -> None:
        if self.unavailable:
            raise errors.DependencyDown("the store is down")


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def monitored(store: SqliteCredentials) -> MonitoredStore:
    return MonitoredStore(store)


@pytest.fixture
def keys(monitored: MonitoredStore, revoked: RevocationCache, clock: Clock) -> ApiKeyVerifier:
    return ApiKeyVerifier(monitored, revoked, stale=60, clock=clock)


@pytest.fixture
async def key(store: SqliteCredentials) -> NewApiKey:
    return await stored_key(store)


async def stored_key(
    store: SqliteCredentials, collections: tuple[str, ...] | None = ("hr",)
) -> NewApiKey:
    """A key that is in the store, for an hour."""
    key = generate_api_key()
    stored = ApiKey(
        key_id=key.key_id,
        tenant="acme",
        display_name="batch",
        scopes=("search",),
        collections=collections,
        created_by="kim",
        created=round(NOW, 3),
        expires=round(NOW + 3600, 3),
        digest=key.digest,
    )
    await store.add(stored, 1000)
    return key


def test_no_two_keys_are_alike_and_each_is_read_back() -> None:
    keys = [generate_api_key() for _ in range(100)]
    assert len({key.text for key in keys}) == 100
    assert all(parse(key.text) == (key.key_id, key.digest) for key in keys)


def test_a_key_does_not_show_when_it_is_printed() -> None:
    key = generate_api_key()
    assert key.text not in repr(key)
    assert repr(key.digest) not in repr(key)


@pytest.mark.parametrize("place", [4, 12, 22, 40, 65, -1])
def test_a_mistyped_key_is_known_without_the_store(place: int) -> None:
    text = generate_api_key().text
    at = place % len(text)
    wrong = text[:at] + ("a" if text[at] != "a" else "b") + text[at + 1 :]
    assert parse(wrong) is None


@pytest.mark.parametrize(
    "text", ["rag_", "rag__", "rag_a_b", "rag_" + "a" * 70, "RAG_x", "rag_가_나"]
)
def test_what_cannot_be_a_key_is_none(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("collections", [("hr",), None])
async def test_a_key_says_who_calls(
    keys: ApiKeyVerifier, store: SqliteCredentials, collections: tuple[str, ...] | None
) -> None:
    key = await stored_key(store, collections)
    assert await keys.principal(key.text) == Principal(
        subject=f"key:{key.key_id}",
        tenant="acme",
        scopes=frozenset({"search"}),
        collections=frozenset(collections) if collections else None,
        credential=key.key_id,
    )


async def test_a_key_comes_in_by_the_same_header_as_a_token(
    keys: ApiKeyVerifier, key: NewApiKey
) -> None:
    authenticate = Authenticator(keys, keys, AccessPolicy({SEARCH: "search"}, {}), Audit())
    principal = await authenticate(SEARCH, {"authorization": f"Bearer {key.text}"})
    assert principal.credential == key.key_id
    with pytest.raises(errors.TokenMissing):
        await authenticate(SEARCH, {"x-api-key": key.text})


@pytest.mark.parametrize("known", [True, False])
async def test_a_key_with_another_secret_is_as_invalid_as_an_unknown_one(
    keys: ApiKeyVerifier, store: SqliteCredentials, key: NewApiKey, known: bool
) -> None:
    other = generate_api_key()
    if known:
        stored = await store.find(key.key_id)
        assert stored
        await store.add(replace(stored, key_id=other.key_id), 1000)
    with pytest.raises(errors.Unauthenticated) as raised:
        await keys.principal(other.text)
    assert raised.value.reason == "TOKEN_INVALID"


async def test_an_expired_key_is_said_to_be_expired(
    keys: ApiKeyVerifier, key: NewApiKey, clock: Clock
) -> None:
    await keys.principal(key.text)
    clock.now += 3601
    with pytest.raises(errors.TokenExpired):
        await keys.principal(key.text)


@pytest.mark.parametrize("cached", [True, False])
async def test_a_revoked_key_is_refused_at_once(
    keys: ApiKeyVerifier,
    key: NewApiKey,
    revoked: RevocationCache,
    store: SqliteCredentials,
    cached: bool,
) -> None:
    if cached:
        await keys.principal(key.text)
        revoked.add(Revocation(key_name(key.key_id), NOW + 3600))
    else:
        await store.revoke("acme", key.key_id, NOW)
    with pytest.raises(errors.KeyRevoked):
        await keys.principal(key.text)


async def test_a_known_key_costs_the_store_nothing(
    keys: ApiKeyVerifier, key: NewApiKey, monitored: MonitoredStore, clock: Clock
) -> None:
    for _ in range(10):
        await keys.principal(key.text)
        clock.now += 2
    assert len(monitored.lookups) == 1


async def test_many_calls_at_once_ask_for_a_key_once(
    keys: ApiKeyVerifier, key: NewApiKey, monitored: MonitoredStore
) -> None:
    await asyncio.gather(*(keys.principal(key.text) for _ in range(20)))
    assert len(monitored.lookups) == 1


async def test_a_caller_that_goes_away_takes_no_other_s_answer_along(
    keys: ApiKeyVerifier, key: NewApiKey
) -> None:
    first = asyncio.create_task(keys.principal(key.text))
    second = asyncio.create_task(keys.principal(key.text))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).tenant == "acme"


async def test_an_unknown_key_is_not_looked_up_again_for_a_while(
    keys: ApiKeyVerifier, monitored: MonitoredStore, clock: Clock
) -> None:
    text = generate_api_key().text
    for _ in range(5):
        await _refused(keys, text)
    assert len(monitored.lookups) == 1
    clock.now += 11
    await _refused(keys, text)
    assert len(monitored.lookups) == 2


async def test_guessing_keys_does_not_flood_the_store_or_lock_known_keys_out(
    monkeypatch: pytest.MonkeyPatch,
    monitored: MonitoredStore,
    revoked: RevocationCache,
    store: SqliteCredentials,
    clock: Clock,
) -> None:
    cached, other = await stored_key(store), await stored_key(store)
    assert (api_keys._MISSES_PER_SECOND, api_keys._MAX_MISSES) == (4_000, 8_000)
    monkeypatch.setattr(api_keys, "_MISSES_PER_SECOND", 4.0)
    monkeypatch.setattr(api_keys, "_MAX_MISSES", 8.0)
    keys = ApiKeyVerifier(monitored, revoked, clock=clock)
    await keys.principal(cached.text)
    for _ in range(12):
        await _refused(keys, generate_api_key().text)
    assert len(monitored.lookups) == 9
    await keys.principal(cached.text)
    with pytest.raises(errors.Overloaded) as raised:
        await keys.principal(other.text)
    assert raised.value.retry_after
    clock.now += 1
    await keys.principal(other.text)


async def test_known_keys_work_for_a_bounded_time_without_the_store_and_others_are_unknown(
    keys: ApiKeyVerifier,
    store: SqliteCredentials,
    key: NewApiKey,
    monitored: MonitoredStore,
    clock: Clock,
) -> None:
    await keys.principal(key.text)
    monitored.unavailable = True
    clock.now += 89
    await keys.principal(key.text)
    with pytest.raises(errors.Unavailable):
        await keys.principal((await stored_key(store)).text)
    clock.now += 2
    with pytest.raises(errors.Unavailable):
        await keys.principal(key.text)


async def test_uses_are_noted_to_the_minute_and_written_together(
    keys: ApiKeyVerifier, store: SqliteCredentials, monitored: MonitoredStore, clock: Clock
) -> None:
    one, two = await stored_key(store), await stored_key(store)
    for _ in range(5):
        await keys.principal(one.text)
        await keys.principal(two.text)
    assert monitored.written == []
    await keys.write_uses()
    minute = clock.now - clock.now % 60
    assert monitored.written == [{one.key_id: minute, two.key_id: minute}]


async def test_uses_are_written_in_the_background_and_at_the_end(
    keys: ApiKeyVerifier, key: NewApiKey, monitored: MonitoredStore, clock: Clock
) -> None:
    async with keys.writing_uses(0.02):
        await keys.principal(key.text)
        await until(lambda: monitored.written, "the use was written")
        clock.now += 60
        await keys.principal(key.text)
    assert sum(len(batch) for batch in monitored.written) >= 2


async def test_uses_that_could_not_be_written_are_written_next_time(
    keys: ApiKeyVerifier, key: NewApiKey, monitored: MonitoredStore
) -> None:
    await keys.principal(key.text)
    monitored.unavailable = True
    await keys.write_uses()
    monitored.unavailable = False
    await keys.write_uses()
    assert [list(batch) for batch in monitored.written] == [[key.key_id]]


async def _refused(keys: ApiKeyVerifier, text: str) -> None:
    with pytest.raises((errors.Unauthenticated, errors.Overloaded)):
        await keys.principal(text)
