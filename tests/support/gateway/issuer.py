"""Issuers of tokens with real keys: one that publishes in a file, and a provider that serves over HTTP."""

import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

Key = Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_ALGORITHMS: dict[str, Any] = {"EdDSA": OKPAlgorithm, "ES256": ECAlgorithm, "RS256": RSAAlgorithm}


class Issuer:
    """Signs with one key, by default an Ed25519 one."""

    def __init__(self, kid: str = "one", key: Key | None = None, name: str = "issuer") -> None:
        self.kid = kid
        self.key = key or Ed25519PrivateKey.generate()
        self.name = name

    @property
    def algorithm(self) -> str:
        if isinstance(self.key, Ed25519PrivateKey):
            return "EdDSA"
        return "RS256" if isinstance(self.key, rsa.RSAPrivateKey) else "ES256"

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key as a JWKS holds it."""
        maker = _ALGORITHMS[self.algorithm]
        return {
            **maker.to_jwk(self.key.public_key(), as_dict=True),
            "kid": self.kid,
            "use": "sig",
        }

    @property
    def public_bytes(self) -> bytes:
        """The raw public key, as anybody can read it in the JWKS."""
        return base64.urlsafe_b64decode(self.jwk["x"] + "==")

    def claims(self, **given: Any) -> dict[str, Any]:
        """What a token says; a claim of None is left out."""
        now = int(time.time())
        payload = {
            "iss": self.name,
            "aud": "rag",
            "sub": "kim",
            "tenant": "acme",
            "scope": "search answer",
            "iat": now,
            "exp": now + 600,
            **given,
        }
        return {name: value for name, value in payload.items() if value is not None}

    def token(self, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token that says that, whether or not a token may."""
        head = {"kid": self.kid, **(headers or {})}
        body = json.dumps(self.claims(**claims)).encode()
        return jwt.PyJWS().encode(body, self.key, self.algorithm, head)


def publish(path: Path, *issuers: Issuer) -> None:
    """Make this the JWKS of these issuers."""
    write(path, jwks(*issuers))


def jwks(*issuers: Issuer) -> str:
    """The JWKS of these issuers."""
    return json.dumps({"keys": [issuer.jwk for issuer in issuers]})


def write(path: Path, text: str | None) -> None:
    """Make this what the file holds; None removes it."""
    if text is None:
        path.unlink()
    else:
        path.write_text(text)


class Provider:
    """An identity provider: an HTTP server that can go away and come back, on the same port."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, str, dict[str, str]]] = {}
        self.requests: list[str] = []
        self.url = ""
        self._port = 0
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Serve."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Refuse connections."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    def serve(self, path: str, text: str, status: int = 200, **headers: str) -> None:
        """Answer this from now on."""
        self.pages[path] = status, text, headers

    def publish(self, *issuers: Issuer, **discovery: Any) -> None:
        """Serve the keys of these issuers, and a discovery document that leads there."""
        self.serve("/keys", jwks(*issuers))
        result = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **discovery}
        self.serve("/.well-known/openid-configuration", json.dumps(result))

    async def _answer(self, request: web.Request) -> web.Response:
        self.requests.append(request.path)
        status, text, headers = self.pages.get(request.path, (404, "", {}))
        return web.Response(status=status, text=text, headers=headers)


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    """A provider that serves inside the block."""
    result = Provider()
    await result.start()
    try:
        yield result
    finally:
        await result.stop()


class LeapingClock:
    """A clock that is ten seconds later each time it is read."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        self._now += 10
        return self._now
