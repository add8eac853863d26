"""Who may call: every public method, with every kind of token that must not do."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.e2e.callers import Caller, Refusal, refusal, refused
from tests.e2e.platform import Platform
from tests.e2e.reflected import Method, methods, policy
from tests.waiting import until

OTHER_KEY = Ed25519PrivateKey.generate()
PATHS = sorted(policy().methods)
SCOPED = sorted(path for path, scope in policy().methods.items() if scope)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(platform: Platform, algorithm: str) -> str:
    """A token as a library would not make it: `none`, or HS256 with the public key as the secret."""
    claims = jwt.decode(platform.token("t"), options={"verify_signature": False})
    kid = platform.jwk["kid"]
    if algorithm == "none":
        return jwt.encode(claims, None, "none", headers={"kid": kid})
    raw = base64.urlsafe_b64decode(platform.jwk["x"] + "==")
    return jwt.encode(claims, raw, "HS256", headers={"kid": kid})


def signed_by(key: Ed25519PrivateKey, kid: str, **claims: Any) -> str:
    now = int(time.time())
    payload = {"iss": "rag-dev", "aud": "rag", "sub": "x", "tenant": "t", "scope": "admin"}
    payload |= {"iat": now, "exp": now + 3600, **claims}
    return jwt.encode(payload, key, "EdDSA", headers={"kid": kid})


def tampered(platform: Platform) -> str:
    """A good token whose claims were changed afterwards."""
    head, body, mark = platform.token("t", ["search"]).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    return ".".join((head, b64(json.dumps({**claims, "scope": "admin"}).encode()), mark))


MISSING = ("UNAUTHENTICATED", "TOKEN_MISSING")
EXPIRED = ("UNAUTHENTICATED", "TOKEN_EXPIRED")
INVALID = ("UNAUTHENTICATED", "TOKEN_INVALID")

# Each kind of caller that is not let in: its authorization header, and the row of the contract.
STRANGERS: dict[str, tuple[Callable[[Platform], str | None], tuple[str, str]]] = {
    "no token": (lambda p: None, MISSING),
    "an empty header": (lambda p: "", MISSING),
    "no token after Bearer": (lambda p: "Bearer ", MISSING),
    "another scheme": (lambda p: "Basic dXNlcjpwYXNz", INVALID),
    "no JWT": (lambda p: "Bearer abc", INVALID),
    "three parts of nothing": (lambda p: "Bearer a.b.c", INVALID),
    "a JWT without claims": (lambda p: f"Bearer {b64(b'{}')}.{b64(b'{}')}.", INVALID),
    "a long text that is no token": (lambda p: f"Bearer {'a' * 6000}", INVALID),
    "an expired token": (lambda p: f"Bearer {p.token('t', exp=int(time.time()) - 3600)}", EXPIRED),
    "a token of the future": (
        lambda p: f"Bearer {p.token('t', nbf=int(time.time()) + 3600)}",
        INVALID,
    ),
    "another audience": (lambda p: f"Bearer {p.token('t', aud='elsewhere')}", INVALID),
    "another issuer": (lambda p: f"Bearer {p.token('t', iss='evil')}", INVALID),
    "no expiry": (lambda p: f"Bearer {p.token('t', exp=None)}", INVALID),
    "no audience": (lambda p: f"Bearer {p.token('t', aud=None)}", INVALID),
    "no issuer": (lambda p: f"Bearer {p.token('t', iss=None)}", INVALID),
    "no subject": (lambda p: f"Bearer {p.token('t', sub=None)}", INVALID),
    "a scope that is no text": (lambda p: f"Bearer {p.token('t', scope=['admin'])}", INVALID),
    "alg none": (lambda p: f"Bearer {forged(p, 'none')}", INVALID),
    "HS256 with the public key": (lambda p: f"Bearer {forged(p, 'HS256')}", INVALID),
    "another key under our key's id": (
        lambda p: f"Bearer {signed_by(OTHER_KEY, p.jwk['kid'])}",
        INVALID,
    ),
    "another key under its own id": (lambda p: f"Bearer {signed_by(OTHER_KEY, 'other')}", INVALID),
    "a key in the token's own header": (
        lambda p: f"Bearer {with_own_key()}",
        INVALID,
    ),
    "changed claims": (lambda p: f"Bearer {tampered(p)}", INVALID),
}


def with_own_key() -> str:
    raw = OTHER_KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    key = {"kty": "OKP", "crv": "Ed25519", "x": b64(raw), "kid": "own"}
    payload = jwt.decode(signed_by(OTHER_KEY, "own"), options={"verify_signature": False})
    return jwt.encode(payload, OTHER_KEY, "EdDSA", headers={"kid": "own", "jwk": key})


@pytest.fixture(scope="session")
def public(platform: Platform) -> dict[str, Method]:
    return {method.path: method for method in methods(platform.target)}


async def told(
    method: Method, channel: grpc.aio.Channel, header: str | None
) -> tuple[str, str] | None:
    """The row of the contract that an empty request gets; None where it is let in."""
    metadata = () if header is None else (("authorization", header),)
    try:
        await method(channel, metadata, method.request())
    except grpc.aio.AioRpcError as error:
        found: Refusal = refusal(error)
        return found.code, found.reason
    return None


def test_every_reflected_method_is_tried(public: dict[str, Method]) -> None:
    assert set(public) == set(PATHS)


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("path", PATHS)
async def test_a_stranger_gets_nowhere(
    platform: Platform,
    channel: grpc.aio.Channel,
    public: dict[str, Method],
    path: str,
    stranger: str,
) -> None:
    header, row = STRANGERS[stranger]
    assert await told(public[path], channel, header(platform)) == row


@pytest.mark.parametrize("path", SCOPED)
async def test_a_token_without_the_scope_is_denied_and_told_which_it_needs(
    platform: Platform, channel: grpc.aio.Channel, public: dict[str, Method], path: str
) -> None:
    needed = policy().methods[path]
    others = [scope for scope in ("search", "answer", "ingest") if scope != needed]
    metadata = (("authorization", f"Bearer {platform.token('t', others)}"),)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await public[path](channel, metadata, public[path].request())
    found = refusal(raised.value)
    assert (found.code, found.reason) == ("PERMISSION_DENIED", "SCOPE_MISSING")
    assert found.metadata["required_scope"] == needed


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("scopes", ["own", "admin"])
async def test_a_token_with_the_scope_or_admin_is_let_in(
    platform: Platform,
    channel: grpc.aio.Channel,
    public: dict[str, Method],
    path: str,
    scopes: str,
) -> None:
    """An empty request is wrong, and that is only said to those who may ask."""
    needed = policy().methods[path] if scopes == "own" else "admin"
    token = platform.token("t", [needed] if needed else [])
    row = await told(public[path], channel, f"Bearer {token}")
    assert row in (None, ("INVALID_ARGUMENT", "FIELD_INVALID"))


async def test_the_scheme_s_case_does_not_matter(
    platform: Platform, channel: grpc.aio.Channel, public: dict[str, Method]
) -> None:
    method = public["/rag.gateway.v1.AnswerService/GetCapabilities"]
    assert await told(method, channel, f"bearer {platform.token('t')}") is None


async def test_a_clock_that_is_a_little_late_does_no_harm(
    platform: Platform, channel: grpc.aio.Channel
) -> None:
    token = platform.token("t", exp=int(time.time()) - 5)
    await Caller(channel, token).capabilities()


async def test_an_unknown_method_is_open_to_nobody(
    platform: Platform, channel: grpc.aio.Channel
) -> None:
    call = channel.unary_unary("/rag.gateway.v1.AnswerService/DropEverything")
    found = await refused(call(b"", metadata=Caller(channel, platform.token("t")).metadata))
    assert found.code == "PERMISSION_DENIED"


class Jwks:
    """The file of the issuer's keys."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.former = path.read_text()

    def publish(self, *keys: dict[str, str]) -> None:
        self._path.write_text(json.dumps({"keys": keys}))

    def remove(self) -> None:
        self._path.unlink()

    def restore(self) -> None:
        self._path.write_text(self.former)


@pytest.fixture
def jwks(platform: Platform) -> Iterator[Jwks]:
    """The keys of the platform's issuer, put back after the test."""
    assert platform.jwk
    changed = Jwks(platform.jwks)
    yield changed
    changed.restore()


def published(key: Ed25519PrivateKey, kid: str) -> dict[str, str]:
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(raw), "kid": kid, "use": "sig"}


async def let_in(caller: Caller) -> bool:
    try:
        await caller.capabilities()
    except grpc.aio.AioRpcError:
        return False
    return True


async def test_a_new_key_of_the_issuer_is_picked_up_without_a_restart(
    platform: Platform, channel: grpc.aio.Channel, jwks: Jwks
) -> None:
    key = Ed25519PrivateKey.generate()
    newcomer = Caller(channel, signed_by(key, "next"))
    assert not await let_in(newcomer)
    jwks.publish(platform.jwk, published(key, "next"))
    await until(lambda: let_in(newcomer), "the new key is known")
    assert await let_in(Caller(channel, platform.token("t")))


async def test_without_its_jwks_the_gateway_goes_on_with_the_keys_it_has(
    platform: Platform, channel: grpc.aio.Channel, jwks: Jwks
) -> None:
    read = len(unreadable(platform))
    jwks.remove()
    stranger = Caller(channel, signed_by(OTHER_KEY, "makes it look again"))

    async def looked() -> bool:
        found = await refused(stranger.capabilities())
        assert (found.code, found.reason) == INVALID
        return len(unreadable(platform)) > read

    await until(looked, "the gateway has tried to read the keys")
    assert await let_in(Caller(channel, platform.token(f"t{time.time_ns()}")))


def unreadable(platform: Platform) -> list[dict[str, Any]]:
    return [line for line in platform.lines("gateway") if line["event"] == "jwks_unreadable"]
