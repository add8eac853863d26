"""The issuer's keys: read, renewed, and used on when they cannot be."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import RSAAlgorithm

from rag_common import errors
from rag_gateway.adapters.keys import Keys
from tests.gateway.issuer import Issuer, publish, read, write


class Clock:
    """Time that a test moves on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jwks.json"


@pytest.fixture
def keys(path: Path, clock: Clock) -> Keys:
    return Keys(str(path), 300, clock)


async def test_a_key_is_found_with_the_one_algorithm_of_its_type(keys: Keys, path: Path) -> None:
    curve = Issuer("two", ec.generate_private_key(ec.SECP256R1()))
    publish(path, Issuer("one"), curve)
    assert (await keys.find("one"))[1] == "EdDSA"
    assert (await keys.find("two"))[1] == "ES256"


async def test_a_key_that_the_issuer_does_not_have_is_unauthenticated(
    keys: Keys, path: Path
) -> None:
    publish(path, Issuer())
    with pytest.raises(errors.Unauthenticated):
        await keys.find("two")


async def test_a_new_key_is_picked_up_when_a_token_names_it(
    keys: Keys, path: Path, clock: Clock
) -> None:
    publish(path, Issuer("one"))
    await keys.find("one")
    publish(path, Issuer("one"), Issuer("two"))
    clock.now += 6
    await keys.find("two")


async def test_unknown_keys_do_not_make_the_gateway_look_again_and_again(
    keys: Keys, path: Path, clock: Clock
) -> None:
    publish(path, Issuer("one"))
    await keys.find("one")
    publish(path, Issuer("one"), Issuer("two"))
    clock.now += 4
    with pytest.raises(errors.Unauthenticated):
        await keys.find("two")


async def test_a_withdrawn_key_is_gone_when_the_keys_are_old(
    keys: Keys, path: Path, clock: Clock
) -> None:
    publish(path, Issuer("one"), Issuer("two"))
    await keys.find("two")
    publish(path, Issuer("one"))
    await keys.find("two")
    clock.now += 301
    with pytest.raises(errors.Unauthenticated):
        await keys.find("two")


@pytest.mark.parametrize(
    "content",
    [None, "", "{", "[]", "7", "null", "{}", '{"keys": 7}', '{"keys": {"a": 1}}', '{"keys": [7]}',
     '{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "x", "x": "!"}]}',
     '{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "x", "x": 7}]}',
     '{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "x"}]}'],
)  # fmt: skip
async def test_keys_that_cannot_be_read_leave_the_old_ones_in_use(
    keys: Keys, path: Path, clock: Clock, content: str | None
) -> None:
    publish(path, Issuer("one"))
    await keys.find("one")
    write(path, content)
    clock.now += 301
    await keys.find("one")
    await keys.ready()


async def test_without_any_keys_the_gateway_is_not_ready_and_becomes_so(
    keys: Keys, path: Path
) -> None:
    for call in (keys.ready(), keys.find("one")):
        with pytest.raises(errors.Unavailable) as raised:
            await call
        assert raised.value.retry_after
    publish(path, Issuer("one"))
    await keys.ready()
    await keys.find("one")


async def test_an_issuer_without_a_single_key_is_not_ready(keys: Keys, path: Path) -> None:
    write(path, '{"keys": []}')
    with pytest.raises(errors.Unavailable):
        await keys.ready()


async def test_keys_of_other_types_and_private_ones_are_left_out(keys: Keys, path: Path) -> None:
    other = rsa.generate_private_key(65537, 2048).public_key()
    rsa_key = {**RSAAlgorithm.to_jwk(other, as_dict=True), "kid": "rsa"}
    secret = {"kty": "oct", "k": "c2VjcmV0", "kid": "oct", "alg": "HS256"}
    private = {**Issuer("private").jwk, "d": "c2VjcmV0"}
    nameless = {name: value for name, value in Issuer().jwk.items() if name != "kid"}
    good = Issuer("good").jwk
    write(path, json.dumps({"keys": [rsa_key, secret, private, nameless, good]}))
    await keys.find("good")
    for kid in ("rsa", "oct", "private", ""):
        with pytest.raises(errors.Unauthenticated):
            await keys.find(kid)


async def test_many_callers_read_the_keys_once(path: Path, clock: Clock) -> None:
    publish(path, Issuer("one"))
    async with served(path) as (url, requests):
        keys = Keys(url, 300, clock)
        await asyncio.gather(*(keys.find("one") for _ in range(20)))
        assert len(requests) == 1


async def test_keys_come_from_a_url_and_stay_when_it_is_gone(path: Path, clock: Clock) -> None:
    publish(path, Issuer("one"))
    async with served(path) as (url, _):
        keys = Keys(url, 300, clock)
        await keys.find("one")
    clock.now += 301
    await keys.find("one")


async def test_a_url_that_says_no_is_unavailable(path: Path, clock: Clock) -> None:
    async with served(path) as (url, _):
        with pytest.raises(errors.Unavailable):
            await Keys(url, 300, clock).find("one")


async def test_a_huge_document_is_not_taken_for_keys(path: Path, clock: Clock) -> None:
    write(path, json.dumps({"keys": [Issuer("one").jwk], "filler": "x" * 300_000}))
    async with served(path) as (url, _):
        with pytest.raises(errors.Unavailable):
            await Keys(url, 300, clock).find("one")


@asynccontextmanager
async def served(path: Path) -> AsyncIterator[tuple[str, list[bytes]]]:
    """The file at a URL, 404 where there is none; and the requests so far."""
    requests: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        body = read(path)
        status = b"200 OK" if body else b"404 Not Found"
        head = b"HTTP/1.1 %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        writer.write(head % (status, len(body)) + body)
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listener:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/jwks", requests
