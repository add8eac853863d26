"""API keys as callers show them: what they open, how soon they stop, and what guessing one costs."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from rag_common import errors
from rag_common.context import Principal
from rag_gateway.adapters.apikeys import ApiKeys
from rag_gateway.adapters.bearer import Authenticator
from rag_gateway.adapters.credentials.revoked import Revoked
from rag_gateway.adapters.credentials.sqlite import SqliteCredentials
from rag_gateway.audit import Audit
from rag_gateway.credentials import ApiKey, Minted, Revocation, key_name, mint, parse
from rag_gateway.policy import Policy
from tests.waiting import until

SEARCH = "/rag.gateway.v1.AnswerService/Search"
NOW = time.time()


class Clock:
    """Time that a test moves on."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Watched:
    """A store that counts what it is asked, and can be away."""

    def __init__(self, store: SqliteCredentials) -> None:
        self._store = store
        self.asked: list[str] = []
        self.written: list[dict[str, float]] = []
        self.away = False

    async def find(self, key_id: str) -> ApiKey | None:
        self.asked.append(key_id)
        self._answer()
        return await self._store.find(key_id)

    async def used(self, times: Mapping[str, float]) -> None:
        self._answer()
        self.written.append(dict(times))
        await self._store.used(times)

    def _answer(self) -> None:
        if self.away:
            raise errors.Unavailable("the store is away")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteCredentials]:
    async with SqliteCredentials(tmp_path / "credentials.sqlite") as found:
        yield found


@pytest.fixture
def watched(store: SqliteCredentials) -> Watched:
    return Watched(store)


@pytest.fixture
async def revoked(store: SqliteCredentials) -> Revoked:
    found = Revoked(store, stale=1e9)
    await found.refresh()
    return found


@pytest.fixture
def keys(watched: Watched, revoked: Revoked, clock: Clock) -> ApiKeys:
    return ApiKeys(watched, revoked, stale=60, clock=clock)


@pytest.fixture
async def minted(store: SqliteCredentials) -> Minted:
    return await made(store)


async def made(store: SqliteCredentials, collections: tuple[str, ...] | None = ("hr",)) -> Minted:
    """A key that is in the store, for an hour."""
    found = mint()
    key = ApiKey(
        key_id=found.key_id,
        tenant="acme",
        display_name="batch",
        scopes=("search",),
        collections=collections,
        created_by="kim",
        created=round(NOW, 3),
        expires=round(NOW + 3600, 3),
        digest=found.digest,
    )
    await store.add(key, 1000)
    return found


def test_no_two_keys_are_alike_and_each_is_read_back() -> None:
    keys = [mint() for _ in range(100)]
    assert len({key.text for key in keys}) == 100
    assert all(parse(key.text) == (key.key_id, key.digest) for key in keys)


def test_a_key_does_not_show_when_it_is_printed() -> None:
    key = mint()
    assert key.text not in repr(key)
    assert repr(key.digest) not in repr(key)


@pytest.mark.parametrize("place", [4, 12, 22, 40, 65, -1])
def test_a_mistyped_key_is_known_without_the_store(place: int) -> None:
    text = mint().text
    at = place % len(text)
    wrong = text[:at] + ("a" if text[at] != "a" else "b") + text[at + 1 :]
    assert parse(wrong) is None


@pytest.mark.parametrize(
    "text", ["rag_", "rag__", "rag_a_b", "rag_" + "a" * 70, "RAG_x", "rag_가_나"]
)
def test_what_cannot_be_a_key_is_none(text: str) -> None:
    assert parse(text) is None


async def test_a_key_says_who_calls(keys: ApiKeys, minted: Minted) -> None:
    assert await keys.principal(minted.text) == Principal(
        subject=f"key:{minted.key_id}",
        tenant="acme",
        scopes=frozenset({"search"}),
        collections=frozenset({"hr"}),
        credential=minted.key_id,
    )


async def test_a_key_without_collections_of_its_own_opens_all(
    keys: ApiKeys, store: SqliteCredentials
) -> None:
    found = await keys.principal((await made(store, None)).text)
    assert found.collections is None


async def test_a_key_comes_in_by_the_same_header_as_a_token(keys: ApiKeys, minted: Minted) -> None:
    door = Authenticator(keys, keys, Policy({SEARCH: "search"}, {}), Audit())
    found = await door(SEARCH, {"authorization": f"Bearer {minted.text}"})
    assert found.credential == minted.key_id
    with pytest.raises(errors.TokenMissing):
        await door(SEARCH, {"x-api-key": minted.text})


async def test_the_right_id_with_another_secret_opens_nothing(
    keys: ApiKeys, store: SqliteCredentials, minted: Minted
) -> None:
    key = await store.find(minted.key_id)
    assert key
    other = mint()
    await store.add(replace(key, key_id=other.key_id), 1000)
    with pytest.raises(errors.Unauthenticated) as raised:
        await keys.principal(other.text)
    assert raised.value.reason == "TOKEN_INVALID"


async def test_an_unknown_key_is_invalid_and_no_more_is_said(keys: ApiKeys) -> None:
    with pytest.raises(errors.Unauthenticated) as raised:
        await keys.principal(mint().text)
    assert raised.value.reason == "TOKEN_INVALID"


async def test_an_expired_key_is_said_to_be_expired(
    keys: ApiKeys, minted: Minted, clock: Clock
) -> None:
    await keys.principal(minted.text)
    clock.now += 3601
    with pytest.raises(errors.TokenExpired):
        await keys.principal(minted.text)


async def test_a_revoked_key_is_refused_at_once_though_it_is_remembered(
    keys: ApiKeys, minted: Minted, revoked: Revoked
) -> None:
    await keys.principal(minted.text)
    revoked.add(Revocation(key_name(minted.key_id), NOW + 3600))
    with pytest.raises(errors.KeyRevoked):
        await keys.principal(minted.text)


async def test_a_key_that_was_revoked_long_ago_is_refused(
    keys: ApiKeys, minted: Minted, store: SqliteCredentials
) -> None:
    await store.revoke("acme", minted.key_id, NOW)
    with pytest.raises(errors.KeyRevoked):
        await keys.principal(minted.text)


async def test_a_known_key_costs_the_store_nothing(
    keys: ApiKeys, minted: Minted, watched: Watched, clock: Clock
) -> None:
    for _ in range(10):
        await keys.principal(minted.text)
        clock.now += 2
    assert len(watched.asked) == 1


async def test_many_calls_at_once_ask_for_a_key_once(
    keys: ApiKeys, minted: Minted, watched: Watched
) -> None:
    await asyncio.gather(*(keys.principal(minted.text) for _ in range(20)))
    assert len(watched.asked) == 1


async def test_a_caller_that_goes_away_takes_no_other_s_answer_along(
    keys: ApiKeys, minted: Minted
) -> None:
    first = asyncio.create_task(keys.principal(minted.text))
    second = asyncio.create_task(keys.principal(minted.text))
    await asyncio.wait([asyncio.create_task(_cancelled(first))])
    assert (await second).tenant == "acme"


async def test_an_unknown_key_is_not_looked_up_again_for_a_while(
    keys: ApiKeys, watched: Watched, clock: Clock
) -> None:
    text = mint().text
    for _ in range(5):
        await _refused(keys, text)
    assert len(watched.asked) == 1
    clock.now += 11
    await _refused(keys, text)
    assert len(watched.asked) == 2


async def test_guessing_keys_does_not_flood_the_store(
    keys: ApiKeys, watched: Watched, minted: Minted
) -> None:
    await keys.principal(minted.text)
    for _ in range(8_100):
        await _refused(keys, mint().text)
    assert len(watched.asked) <= 8_001
    await keys.principal(minted.text)


async def test_who_guesses_is_told_to_wait_and_others_come_in_after_a_while(
    keys: ApiKeys, minted: Minted, clock: Clock
) -> None:
    for _ in range(8_000):
        await _refused(keys, mint().text)
    with pytest.raises(errors.Overloaded) as raised:
        await keys.principal(minted.text)
    assert raised.value.retry_after
    clock.now += 1
    await keys.principal(minted.text)


async def test_known_keys_work_for_a_bounded_time_without_the_store(
    keys: ApiKeys, minted: Minted, watched: Watched, clock: Clock
) -> None:
    await keys.principal(minted.text)
    watched.away = True
    clock.now += 89
    await keys.principal(minted.text)
    clock.now += 2
    with pytest.raises(errors.Unavailable):
        await keys.principal(minted.text)


async def test_an_unknown_key_is_not_called_invalid_where_nobody_can_know(
    keys: ApiKeys, minted: Minted, watched: Watched
) -> None:
    watched.away = True
    with pytest.raises(errors.Unavailable):
        await keys.principal(minted.text)


async def test_uses_are_noted_to_the_minute_and_written_together(
    keys: ApiKeys, store: SqliteCredentials, watched: Watched, clock: Clock
) -> None:
    one, two = await made(store), await made(store)
    for _ in range(5):
        await keys.principal(one.text)
        await keys.principal(two.text)
    assert watched.written == []
    await keys.write_uses()
    minute = clock.now - clock.now % 60
    assert watched.written == [{one.key_id: minute, two.key_id: minute}]


async def test_uses_are_written_in_the_background_and_at_the_end(
    keys: ApiKeys, minted: Minted, watched: Watched, clock: Clock
) -> None:
    async with keys.noting_uses(0.02):
        await keys.principal(minted.text)
        await until(lambda: watched.written, "the use was written")
        clock.now += 60
        await keys.principal(minted.text)
    assert sum(len(batch) for batch in watched.written) >= 2


async def test_uses_that_could_not_be_written_are_written_next_time(
    keys: ApiKeys, minted: Minted, watched: Watched
) -> None:
    await keys.principal(minted.text)
    watched.away = True
    await keys.write_uses()
    watched.away = False
    await keys.write_uses()
    assert [list(batch) for batch in watched.written] == [[minted.key_id]]


async def _refused(keys: ApiKeys, text: str) -> None:
    with pytest.raises((errors.Unauthenticated, errors.Overloaded)):
        await keys.principal(text)


async def _cancelled(task: "asyncio.Task[Principal]") -> None:
    task.cancel()
    await asyncio.wait([task])
