"""API keys: their format and their stored form; and the names under which credentials are revoked."""

import hashlib
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field

from rag_common.jose import base64url, base64url_decode
from rag_contract import errors

# 43 characters of an alphabet of 62 have 256 bits.
_ALPHABET = string.ascii_letters + string.digits
_ID, _SECRET, _CHECK = 16, 43, 6
_KEY = re.compile(
    rf"rag_([A-Za-z0-9]{{{_ID}}})_([A-Za-z0-9]{{{_SECRET}}})([A-Za-z0-9]{{{_CHECK}}})"
)
_CURSOR = re.compile(r"([0-9]{1,15})\.([A-Za-z0-9]{1,64})")
PREFIX = "rag_"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The stored form of an API key. Times are seconds of Unix time, with millisecond precision.

    `collections` is None if the key gives access to all of its tenant's. `digest` is the SHA-256 of the
    key: a secret of 256 random bits cannot be guessed from it, so a slow hash is not needed.
    """

    key_id: str
    tenant: str
    display_name: str
    scopes: tuple[str, ...]
    collections: tuple[str, ...] | None
    created_by: str
    created: float
    expires: float
    digest: bytes = field(repr=False)
    last_used: float | None = None
    revoked: float | None = None


@dataclass(frozen=True, slots=True)
class Revocation:
    """A revoked credential; `until` is the Unix time after which it has expired anyway."""

    name: str
    until: float


@dataclass(frozen=True, slots=True)
class Revocations:
    """A page of the log of revocations, oldest first, and the log position after it."""

    items: tuple[Revocation, ...]
    position: int


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A new key: its id, the text for its holder, and the digest to store."""

    key_id: str
    text: str = field(repr=False)
    digest: bytes = field(repr=False)


def generate_api_key() -> NewApiKey:
    """A new API key, `rag_<id>_<secret><checksum>`. The checksum detects typing errors without the store."""
    key_id = _random_text(_ID)
    body = f"{PREFIX}{key_id}_{_random_text(_SECRET)}"
    text = body + _check(body)
    return NewApiKey(key_id, text, _digest(text))


def parse(text: str) -> tuple[str, bytes] | None:
    """The id and the digest of a key; None if the text is not a valid key."""
    match = _KEY.fullmatch(text)
    if not match or match[3] != _check(text[:-_CHECK]):
        return None
    return match[1], _digest(text)


def key_name(key_id: str) -> str:
    """The name under which an API key is revoked."""
    return f"key:{key_id}"


def token_name(tenant: str, token_id: str) -> str:
    """The name under which a token is revoked; it includes the tenant, as a `jti` is unique only there."""
    return f"token:{tenant}:{token_id}"


def encode_cursor(last: ApiKey) -> str:
    """The page token of the page that begins after the key."""
    text = f"{round(last.created * 1000)}.{last.key_id}"
    return base64url(text.encode())


def decode_cursor(token: str) -> tuple[float, str]:
    """The creation time and the id of the last key of the previous page. Raises InvalidArgument."""
    try:
        text = base64url_decode(token).decode("ascii")
    except ValueError:
        text = ""
    match = _CURSOR.fullmatch(text)
    if not match:
        raise errors.FieldInvalid.of("page_token", "is invalid")
    return int(match[1]) / 1000, match[2]


def _random_text(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _check(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECK):
        number, digit = divmod(number, len(_ALPHABET))
        digits += _ALPHABET[digit]
    return digits


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
