"""An issuer's keys: read, renewed, and used on when they cannot be; and our own key to sign with."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rag_common import errors
from rag_gateway.adapters.documents import document
from rag_gateway.adapters.keys import FileSigner, KeySet, jwks_json, signed_by
from rag_local.keys import ensure
from tests.gateway.issuer import Issuer, Provider, jwks, provider, publish, write
from tests.waiting import until


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
def keys(path: Path, clock: Clock) -> KeySet:
    return KeySet("issuer", document(str(path)), clock=clock)


@pytest.fixture
async def served() -> AsyncIterator[Provider]:
    async with provider() as found:
        yield found


async def test_a_key_is_found_with_the_one_algorithm_of_its_type(keys: KeySet, path: Path) -> None:
    curve = Issuer("two", ec.generate_private_key(ec.SECP256R1()))
    publish(path, Issuer("one"), curve)
    assert (await keys.find("one"))[1] == "EdDSA"
    assert (await keys.find("two"))[1] == "ES256"


async def test_a_key_that_the_issuer_does_not_have_is_unauthenticated(
    keys: KeySet, path: Path
) -> None:
    publish(path, Issuer())
    with pytest.raises(errors.Unauthenticated):
        await keys.find("two")


async def test_a_new_key_is_picked_up_when_a_token_names_it(
    keys: KeySet, path: Path, clock: Clock
) -> None:
    publish(path, Issuer("one"))
    await keys.find("one")
    publish(path, Issuer("one"), Issuer("two"))
    clock.now += 6
    await keys.find("two")


async def test_unknown_keys_do_not_make_the_gateway_look_again_and_again(
    keys: KeySet, path: Path, clock: Clock
) -> None:
    publish(path, Issuer("one"))
    await keys.find("one")
    publish(path, Issuer("one"), Issuer("two"))
    clock.now += 4
    with pytest.raises(errors.Unauthenticated):
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


async def test_keys_are_renewed_in_the_background(served: Provider) -> None:
    served.serve("/keys", jwks(Issuer("one")))
    keys = KeySet("issuer", document(f"{served.url}/keys"), clock=_Leaping())
    renewing = asyncio.create_task(keys.keep_fresh(0.01))
    await until(lambda: len(served.asked) > 3, "the keys were read again and again")
    renewing.cancel()


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


async def test_old_keys_are_not_used_for_ever(keys: KeySet, path: Path, clock: Clock) -> None:
    publish(path, Issuer("one"))
    await keys.find("one")
    write(path, None)
    clock.now += 86_401
    with pytest.raises(errors.Unavailable):
        await keys.find("one")


async def test_without_any_keys_the_gateway_is_not_ready_and_becomes_so(
    keys: KeySet, path: Path, clock: Clock
) -> None:
    for call in (keys.ready(), keys.find("one")):
        with pytest.raises(errors.Unavailable) as raised:
            await call
        assert raised.value.retry_after
    publish(path, Issuer("one"))
    clock.now += 6
    await keys.ready()
    await keys.find("one")


async def test_an_issuer_without_a_single_key_is_not_ready(keys: KeySet, path: Path) -> None:
    write(path, '{"keys": []}')
    with pytest.raises(errors.Unavailable):
        await keys.ready()


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
    entries = [rsa_key, p384, secret, private, cipher, other, nameless, good]
    write(path, json.dumps({"keys": entries}))
    await keys.find("good")
    for kid in ("rsa", "p384", "oct", "private", "cipher", "other", ""):
        with pytest.raises(errors.Unauthenticated):
            await keys.find(kid)


@pytest.mark.parametrize(("bits", "usable"), [(1024, False), (2048, True)])
async def test_an_rsa_key_is_used_where_the_issuer_may_and_it_is_long_enough(
    path: Path, bits: int, usable: bool
) -> None:
    publish(path, Issuer("rsa", rsa.generate_private_key(65537, bits)))
    keys = KeySet("issuer", document(str(path)), algorithms=["RS256"])
    if usable:
        assert (await keys.find("rsa"))[1] == "RS256"
    else:
        with pytest.raises(errors.Unauthenticated):
            await keys.find("rsa")


async def test_one_broken_key_does_not_take_the_others_along(keys: KeySet, path: Path) -> None:
    broken = {"kty": "OKP", "crv": "Ed25519", "kid": "x", "x": "!"}
    write(path, json.dumps({"keys": [broken, Issuer("good").jwk]}))
    await keys.find("good")


async def test_many_callers_read_the_keys_once(served: Provider) -> None:
    served.serve("/keys", jwks(Issuer("one")))
    keys = KeySet("issuer", document(f"{served.url}/keys"))
    await asyncio.gather(*(keys.find("one") for _ in range(20)))
    assert len(served.asked) == 1


async def test_keys_stay_when_their_url_is_gone(served: Provider, clock: Clock) -> None:
    served.serve("/keys", jwks(Issuer("one")))
    keys = KeySet("issuer", document(f"{served.url}/keys"), clock=clock)
    await keys.find("one")
    await served.stop()
    clock.now += 301
    assert not await keys.renew()
    await keys.find("one")


@pytest.mark.parametrize("status", [204, 301, 401, 404, 500])
async def test_a_url_that_says_anything_but_yes_is_unavailable(
    served: Provider, status: int
) -> None:
    served.serve("/keys", jwks(Issuer("one")), status)
    with pytest.raises(errors.Unavailable):
        await KeySet("issuer", document(f"{served.url}/keys")).find("one")


async def test_a_redirect_is_not_followed(served: Provider) -> None:
    served.serve("/elsewhere", jwks(Issuer("one")))
    served.serve("/keys", "", 302, location="/elsewhere")
    with pytest.raises(errors.Unavailable):
        await KeySet("issuer", document(f"{served.url}/keys")).find("one")
    assert served.asked == ["/keys"]


@pytest.mark.parametrize("filler", ["x" * 300_000, [0] * 101])
async def test_a_huge_document_is_not_taken_for_keys(served: Provider, filler: Any) -> None:
    entries: Any = filler if isinstance(filler, list) else [Issuer("one").jwk]
    served.serve("/keys", json.dumps({"keys": entries, "filler": filler}))
    with pytest.raises(errors.Unavailable):
        await KeySet("issuer", document(f"{served.url}/keys")).find("one")


async def test_what_the_development_key_signs_its_own_jwks_checks(tmp_path: Path) -> None:
    signer = await FileSigner.read(ensure(tmp_path))
    token = await signer.sign({"sub": "kim"})
    kid = jwt.get_unverified_header(token)["kid"]
    key, algorithm = await KeySet("own", signed_by(signer)).find(kid)
    assert jwt.decode(token, key, [algorithm]) == {"sub": "kim"}


async def test_the_published_keys_are_those_of_the_development_jwks(tmp_path: Path) -> None:
    signer = await FileSigner.read(ensure(tmp_path))
    assert json.loads(await jwks_json(signer)) == json.loads((tmp_path / "jwks.json").read_text())


@pytest.mark.parametrize("content", ["", "no PEM", "curve"])
async def test_what_is_no_ed25519_key_is_not_signed_with(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key.pem"
    curve = ec.generate_private_key(ec.SECP256R1())
    pem = curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(pem if content == "curve" else content.encode())
    with pytest.raises(OSError, match=r"key\.pem"):
        await FileSigner.read(path)


class _Leaping:
    """Time in which every look at it is ten seconds after the one before."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        self._now += 10
        return self._now
