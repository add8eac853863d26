"""Who may call: every public method, with every kind of token that must not do."""

import base64
import json
import time
from collections.abc import Callable

import grpc
import jwt
import pytest

from tests.e2e.callers import FIELD, Caller, refusal, refused, row
from tests.e2e.platform import Platform
from tests.e2e.reflected import Method, policy

PATHS = sorted(policy().methods)
SCOPED = sorted(path for path, scope in policy().methods.items() if scope)


def forged(platform: Platform) -> str:
    """A token as a library would not make it: HS256 with the public key as the secret."""
    claims = jwt.decode(platform.token("t"), options={"verify_signature": False})
    raw = base64.urlsafe_b64decode(platform.jwk["x"] + "==")
    return jwt.encode(claims, raw, "HS256", headers={"kid": platform.jwk["kid"]})


def tampered(platform: Platform) -> str:
    """A good token whose claims were changed afterwards."""
    head, body, mark = platform.token("t", ["search"]).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    changed = json.dumps({**claims, "scope": "admin"}).encode()
    return ".".join((head, base64.urlsafe_b64encode(changed).rstrip(b"=").decode(), mark))


MISSING = ("UNAUTHENTICATED", "TOKEN_MISSING")
EXPIRED = ("UNAUTHENTICATED", "TOKEN_EXPIRED")
INVALID = ("UNAUTHENTICATED", "TOKEN_INVALID")

# Some kinds of callers that are refused: the authorization header, and the row of the contract. All kinds
# are in tests/unit/gateway/test_tokens.py.
STRANGERS: dict[str, tuple[Callable[[Platform], str | None], tuple[str, str]]] = {
    "no token": (lambda p: None, MISSING),
    "another scheme": (lambda p: "Basic dXNlcjpwYXNz", INVALID),
    "an expired token": (lambda p: f"Bearer {p.token('t', exp=int(time.time()) - 3600)}", EXPIRED),
    "another audience": (lambda p: f"Bearer {p.token('t', aud='elsewhere')}", INVALID),
    "HS256 with the public key": (lambda p: f"Bearer {forged(p)}", INVALID),
    "changed claims": (lambda p: f"Bearer {tampered(p)}", INVALID),
}


async def refused_with(
    method: Method, channel: grpc.aio.Channel, header: str | None
) -> tuple[str, str] | None:
    """The row of the contract that an empty request gets; None where it is let in."""
    metadata = () if header is None else (("authorization", header),)
    try:
        await method(channel, metadata, method.request())
    except grpc.aio.AioRpcError as error:
        return row(refusal(error))
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
    header, expected = STRANGERS[stranger]
    assert await refused_with(public[path], channel, header(platform)) == expected


@pytest.mark.parametrize("path", SCOPED)
async def test_a_token_without_the_scope_is_denied_and_told_which_it_needs(
    platform: Platform, channel: grpc.aio.Channel, public: dict[str, Method], path: str
) -> None:
    needed = policy().methods[path]
    others = [scope for scope in ("search", "answer", "ingest") if scope != needed]
    metadata = (("authorization", f"Bearer {platform.token('t', others)}"),)
    refusal = await refused(public[path](channel, metadata, public[path].request()))
    assert row(refusal) == ("PERMISSION_DENIED", "SCOPE_MISSING")
    assert refusal.metadata["required_scope"] == needed


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
    refusal = await refused_with(public[path], channel, f"Bearer {token}")
    assert refusal in (None, FIELD)


async def test_an_unknown_method_is_open_to_nobody(
    platform: Platform, channel: grpc.aio.Channel
) -> None:
    call = channel.unary_unary("/rag.gateway.v1.AnswerService/DropEverything")
    result = await refused(call(b"", metadata=Caller(channel, platform.token("t")).metadata))
    assert result.code == "PERMISSION_DENIED"
