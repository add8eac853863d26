"""JSON Web Tokens signed by Vault's transit engine: the private key never leaves Vault."""

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rag_common import jose
from rag_common.jose import base64url, signing_input
from rag_common.settings import SettingsInvalid
from rag_common.vault.connection import Client
from rag_common.vault.failures import Failing, Refused, Unreachable, request_errors
from rag_common.vault.session import Session

_MAX_AGE = 60.0


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The versions of a transit key with which signatures are verified; `newest` is the signing one."""

    algorithm: str
    newest: int
    by_version: Mapping[int, Mapping[str, str]]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "SigningKeys":
        """Parse transit's description of a key. Raises SettingsInvalid for an unsupported key type."""
        newest = int(data["latest_version"])
        oldest = max(int(data["min_decryption_version"]), int(data["min_available_version"]), 1)
        to_jwk = _CONVERSIONS.get(str(data["type"]))
        if to_jwk is None:
            raise SettingsInvalid(
                f"the transit key has type {data['type']}; ed25519 and ecdsa-p256 are supported"
            )
        by_version = {
            version: to_jwk(data["keys"][str(version)]["public_key"])
            for version in range(oldest, newest + 1)
        }
        return cls(by_version[newest]["alg"], newest, by_version)

    @property
    def key_id(self) -> str:
        """The id of the signing key."""
        return self.by_version[self.newest]["kid"]

    def document(self) -> dict[str, list[dict[str, str]]]:
        """The JWKS document, newest key first."""
        return {"keys": [dict(self.by_version[v]) for v in sorted(self.by_version, reverse=True)]}


def _ed25519_jwk(public: str) -> dict[str, str]:
    return jose.ed25519_jwk(base64.b64decode(public))


_CONVERSIONS = {"ed25519": _ed25519_jwk, "ecdsa-p256": jose.p256_jwk}


class TransitSigner:
    """Signs with the newest version of one key, and publishes all versions still valid for verification.

    A rotation is noticed within `max_age` seconds; until then the previous version signs, which stays
    in the JWKS. A version with which Vault no longer signs is noticed at once.
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
        with request_errors("tokens cannot be signed at the moment"):
            keys = await self._current()
            try:
                return await self._signed(keys, claims)
            # For a version that is disabled for signing, the error depends on Vault's version.
            except (Failing, Refused):
                newer = await self._read()
                if newer.newest == keys.newest:
                    raise
                return await self._signed(newer, claims)

    async def jwks(self, *, renew: bool = False) -> dict[str, list[dict[str, str]]]:
        """The public keys; `renew` reads them now, for a key id that is not among the cached ones.

        While Vault is unavailable the cached keys are returned. Raises Unavailable if there are none.
        """
        with request_errors("the keys for token verification cannot be read"):
            try:
                keys = await (self._read() if renew else self._current())
            except (Unreachable, Refused):
                if self._keys is None:
                    raise
                keys = self._keys
        return keys.document()

    async def open(self) -> None:
        """Read the keys for the first time. Raises Missing, Refused, Unreachable."""
        await self._read()

    async def _current(self) -> SigningKeys:
        if self._keys is None or self._clock() - self._read_at > self._max_age:
            return await self._read()
        return self._keys

    async def _read(self) -> SigningKeys:
        self._keys = await self._session.call("transit.keys", self._public_keys)
        self._read_at = self._clock()
        return self._keys

    def _public_keys(self, client: Client) -> SigningKeys:
        reply = client.secrets.transit.read_key(self._key, mount_point=self._mount)
        return SigningKeys.of(reply["data"])

    async def _signed(self, keys: SigningKeys, claims: Mapping[str, Any]) -> str:
        message = signing_input(keys.algorithm, keys.key_id, claims)
        signature = await self._session.call(
            "transit.sign", lambda client: self._signature(client, keys, message)
        )
        return f"{message}.{signature}"

    def _signature(self, client: Client, keys: SigningKeys, message: str) -> str:
        elliptic = keys.algorithm == "ES256"
        reply = client.secrets.transit.sign_data(
            self._key,
            base64.b64encode(message.encode()).decode(),
            key_version=keys.newest,
            # For an elliptic curve key Vault returns ASN.1 unless the JWS format is requested.
            hash_algorithm="sha2-256" if elliptic else None,
            marshaling_algorithm="jws" if elliptic else None,
            mount_point=self._mount,
        )
        # vault:v<version>:<signature>
        text = str(reply["data"]["signature"]).split(":")[2]
        return text if elliptic else base64url(base64.b64decode(text, validate=True))
