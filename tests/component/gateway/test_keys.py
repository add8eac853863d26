"""An issuer's keys: read, renewed, and used on when they cannot be; and our own key to sign with."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rag_contract import errors
from rag_gateway.auth.jwks import FileSigner, KeySet, jwks_json, signed_by
from rag_gateway.auth.jwks_sources import jwks_document
from rag_local.dev_keys import ensure
from tests.support.clock import Clock
from tests.support.gateway.issuer import (
    Issuer,
    Provider,
    jwks,
    provider,
    publish,
    write,
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jwks.json"


@pytest.fixture
def keys(path: Path, clock: Clock) -> KeySet:
    return KeySet("issuer", jwks_document(str(path)), clock=clock)


@pytest.fixture
async def served() -> AsyncIterator[Provider]:
    async with provider() as result:
        yield result


async def test_a_key_is_found_with_the_one_algorithm_of_its_type(keys: KeySet, path: Path) -> None:
    curve = Issuer("two", ec.generate_private_key(ec.SECP256R1()))
    publish(path, Issuer("one"), curve)
    assert (await keys.find("one")).algorithm == "EdDSA"
    assert (await keys.find("two")).algorithm == "ES256"


@pytest.mark.parametrize(("seconds", "known"), [(4, False), (6, True)])
async def test_unknown_keys_make_the_gateway_look_again_but_not_too_often(
    keys: KeySet, path: Path, clock: Clock, seconds: float, known: bool
) -> None:
    publish(path, Issuer("one"))
    await keys.find("one")
    publish(path, Issuer("one"), Issuer("two"))
    clock.now += seconds
    with nullcontext() if known else pytest.raises(errors.Unauthenticated):
        await keys.find("two")


async def test_a_withdrawn_key_is_gone_when_the_keys_were_renewed(
    keys: KeySet, path: Path, clock: Clock
) -> None:
    publish(path, Issuer("one"), Issuer("two"))
    await keys.find("two")
    publish(path, Issuer("one"))
    clock.now += 6
    await keys.renew()
    with pytest.raises(errors.Unauthenticated):
        await keys.find("two")


@pytest.mark.parametrize(
    "content",
    [None, "", "{", "[]", "7", "null", "{}", "[" * 100_000, '{"keys": 7}', '{"keys": {"a": 1}}',
     '{"keys": [7]}',
     '{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "x", "x": "!"}]}',
     '{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "x", "x": 7}]}',
     '{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "x"}]}'],
)  # fmt: skip
async def test_keys_that_cannot_be_read_leave_the_old_ones_in_use(
    keys: KeySet, path: Path, clock: Clock, content: str | None
) -> None:
    publish(path, Issuer("one"))
    await keys.find("one")
    write(path, content)
    clock.now += 301
    assert not await keys.renew()
    await keys.find("one")
    await keys.ready()
    clock.now += 86_100
    with pytest.raises(errors.Unavailable):
        await keys.find("one")


async def test_without_any_keys_the_gateway_is_not_ready_and_becomes_so(
    keys: KeySet, path: Path, clock: Clock
) -> None:
    for call in (keys.ready(), keys.find("one")):
        with pytest.raises(errors.Unavailable) as raised:
            await call
        assert raised.value.retry_after
    write(path, '{"keys": []}')
    clock.now += 6
    with pytest.raises(errors.Unavailable):
        await keys.ready()
    publish(path, Issuer("one"))
    clock.now += 6
    await keys.ready()
    await keys.find("one")


async def test_keys_of_other_types_uses_and_private_ones_are_left_out(
    keys: KeySet, path: Path
) -> None:
    rsa_key = Issuer("rsa", rsa.generate_private_key(65537, 2048)).jwk
    p384 = Issuer("p384").jwk | {"kty": "EC", "crv": "P-384"}
    secret = {"kty": "oct", "k": "c2VjcmV0", "kid": "oct", "alg": "HS256"}
    private = {**Issuer("private").jwk, "d": "c2VjcmV0"}
    cipher = {**Issuer("cipher").jwk, "use": "enc"}
    other = {**Issuer("other").jwk, "alg": "ES256"}
    nameless = {name: value for name, value in Issuer().jwk.items() if name != "kid"}
    good = Issuer("good").jwk
    broken = {"kty": "OKP", "crv": "Ed25519", "kid": "x", "x": "!"}
    entries = [broken, rsa_key, p384, secret, private, cipher, other, nameless, good]
    write(path, json.dumps({"keys": entries}))
    await keys.find("good")
    for kid in ("rsa", "p384", "oct", "private", "cipher", "other", ""):
        with pytest.raises(errors.Unauthenticated):
            await keys.find(kid)


async def test_many_callers_read_the_keys_once(served: Provider) -> None:
    served.serve("/keys", jwks(Issuer("one")))
    keys = KeySet("issuer", jwks_document(f"{served.url}/keys"))
    await asyncio.gather(*(keys.find("one") for _ in range(20)))
    assert len(served.requests) == 1


async def test_keys_stay_when_their_url_is_gone(served: Provider, clock: Clock) -> None:
    served.serve("/keys", jwks(Issuer("one")))
    keys = KeySet("issuer", jwks_document(f"{served.url}/keys"), clock=clock)
    await keys.find("one")
    await served.stop()
    clock.now += 301
    assert not await keys.renew()
    await keys.find("one")


@pytest.mark.parametrize("status", [204, 301, 401, 404, 500])
async def test_a_url_that_has_another_status_than_200_is_unavailable_and_no_redirect_is_followed(
    served: Provider, status: int
) -> None:
    served.serve("/elsewhere", jwks(Issuer("one")))
    served.serve("/keys", jwks(Issuer("one")), status, location="/elsewhere")
    with pytest.raises(errors.Unavailable):
        await KeySet("issuer", jwks_document(f"{served.url}/keys")).find("one")
    assert served.requests == ["/keys"]


@pytest.mark.parametrize("filler", ["x" * 300_000, [0] * 101])
async def test_a_huge_document_is_not_taken_for_keys(served: Provider, filler: Any) -> None:
    entries: Any = filler if isinstance(filler, list) else [Issuer("one").jwk]
    served.serve("/keys", json.dumps({"keys": entries, "filler": filler}))
    with pytest.raises(errors.Unavailable):
        await KeySet("issuer", jwks_document(f"{served.url}/keys")).find("one")


async def test_what_the_development_key_signs_its_own_jwks_checks(tmp_path: Path) -> None:
    signer = await FileSigner.read(ensure(tmp_path))
    token = await signer.sign({"sub": "kim"})
    kid = jwt.get_unverified_header(token)["kid"]
    key = await KeySet("own", signed_by(signer)).find(kid)
    assert jwt.decode(token, key.key.public_key, [key.algorithm]) == {"sub": "kim"}
    assert json.loads(await jwks_json(signer.jwks)) == json.loads(
        (tmp_path / "jwks.json").read_text()
    )


async def test_the_page_of_keys_that_others_sign_with_has_public_members_only(
    tmp_path: Path,
) -> None:
    ensure(tmp_path)
    document = json.loads((tmp_path / "jwks.json").read_text())
    [entry] = document["keys"]
    leaked = {**Issuer("other").jwk, "d": "c2VjcmV0"}
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [entry, leaked]}))
    page = json.loads(await jwks_json(jwks_document(str(tmp_path / "jwks.json"))))
    assert page == {"keys": [entry]}


@pytest.mark.parametrize("content", ["", "no PEM", "curve"])
async def test_what_is_no_ed25519_key_is_not_signed_with(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key.pem"
    curve = ec.generate_private_key(ec.SECP256R1())
    pem = curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(pem if content == "curve" else content.encode())
    with pytest.raises(OSError, match=r"key\.pem"):
        await FileSigner.read(path)
