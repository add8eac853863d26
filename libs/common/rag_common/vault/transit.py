"""JSON Web Tokens signed inside Vault: no file and no process of ours ever holds the private key."""

import base64
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from rag_common.vault.connection import Client
from rag_common.vault.failures import Failing, Refused, Unreachable, serving
from rag_common.vault.jwk import SigningKeys, base64url
from rag_common.vault.session import Session

_MAX_AGE = 60.0


class TransitSigner:
    """Signs with the newest version of one key, and publishes all versions that may still be met.

    A rotation is noticed within `max_age` seconds; until then the version before it is signed with,
    which stays in the JWKS. A version that Vault no longer signs with is noticed at once.
    """

    def __init__(
        self,
        session: Session,
        mount: str,
        key: str,
        max_age: float = _MAX_AGE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._mount = mount
        self._key = key
        self._max_age = max_age
        self._clock = clock
        self._keys: SigningKeys | None = None
        self._read_at = float("-inf")

    async def sign(self, claims: Mapping[str, Any]) -> str:
        """The claims as a compact JWS. Raises Unavailable."""
        with serving("tokens cannot be signed now"):
            keys = await self._present()
            try:
                return await self._signed(keys, claims)
            # Which it is, for a version that is signed with no more, depends on Vault's version.
            except (Failing, Refused):
                newer = await self._read()
                if newer.newest == keys.newest:
                    raise
                return await self._signed(newer, claims)

    async def jwks(self, *, renew: bool = False) -> dict[str, list[dict[str, str]]]:
        """The public keys; `renew` reads them now, for a key id that is not among them.

        Those that were read last are given while Vault is away. Raises Unavailable where there are
        none.
        """
        with serving("the keys that tokens are checked with cannot be read"):
            try:
                keys = await (self._read() if renew else self._present())
            except (Unreachable, Refused):
                if self._keys is None:
                    raise
                keys = self._keys
        return keys.document()

    async def open(self) -> None:
        """Read the keys for the first time. Raises Missing, Refused, Unreachable."""
        await self._read()

    async def _present(self) -> SigningKeys:
        if self._keys is None or self._clock() - self._read_at > self._max_age:
            return await self._read()
        return self._keys

    async def _read(self) -> SigningKeys:
        self._keys = await self._session.ask("transit.keys", self._public_keys)
        self._read_at = self._clock()
        return self._keys

    def _public_keys(self, client: Client) -> SigningKeys:
        reply = client.secrets.transit.read_key(self._key, mount_point=self._mount)
        return SigningKeys.of(reply["data"])

    async def _signed(self, keys: SigningKeys, claims: Mapping[str, Any]) -> str:
        header = {"alg": keys.algorithm, "kid": keys.key_id, "typ": "JWT"}
        message = f"{_part(header)}.{_part(claims)}"
        signature = await self._session.ask(
            "transit.sign", lambda client: self._signature(client, keys, message)
        )
        return f"{message}.{signature}"

    def _signature(self, client: Client, keys: SigningKeys, message: str) -> str:
        elliptic = keys.algorithm == "ES256"
        reply = client.secrets.transit.sign_data(
            self._key,
            base64.b64encode(message.encode()).decode(),
            key_version=keys.newest,
            # For an elliptic key Vault gives ASN.1 unless asked for the form that JWS wants.
            hash_algorithm="sha2-256" if elliptic else None,
            marshaling_algorithm="jws" if elliptic else None,
            mount_point=self._mount,
        )
        # vault:v<version>:<signature>
        text = str(reply["data"]["signature"]).split(":")[2]
        return text if elliptic else base64url(base64.b64decode(text, validate=True))


def _part(members: Mapping[str, Any]) -> str:
    text = json.dumps(members, separators=(",", ":"), ensure_ascii=False)
    return base64url(text.encode())
