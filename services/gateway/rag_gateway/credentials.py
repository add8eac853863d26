"""Credentials of ours: what an API key is and looks like, and the names under which things are revoked."""

import base64
import hashlib
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field

from rag_common import errors

# 43 of 62 letters and digits are 256 bits.
_ALPHABET = string.ascii_letters + string.digits
_ID, _SECRET, _CHECK = 16, 43, 6
_KEY = re.compile(
    rf"rag_([A-Za-z0-9]{{{_ID}}})_([A-Za-z0-9]{{{_SECRET}}})([A-Za-z0-9]{{{_CHECK}}})"
)
_PLACE = re.compile(r"([0-9]{1,15})\.([A-Za-z0-9]{1,64})")
PREFIX = "rag_"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of an API key. Times are seconds of Unix time, to the millisecond.

    `collections` is None where the key opens all of its tenant's. `digest` is the SHA-256 of the
    key: a secret of 256 random bits cannot be guessed from it, so no slow hash is called for.
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
    """Something that is refused until a moment of Unix time, after which it is dead by itself."""

    name: str
    until: float


@dataclass(frozen=True, slots=True)
class Revocations:
    """Those that came after a place in the log, oldest first, and the place that the log is at."""

    found: tuple[Revocation, ...]
    place: int


@dataclass(frozen=True, slots=True)
class Minted:
    """A new key: its id, the text that its holder gets, and the digest that is kept."""

    key_id: str
    text: str = field(repr=False)
    digest: bytes = field(repr=False)


def mint() -> Minted:
    """A new API key, `rag_<id>_<secret><check>`. The check tells a typing error without the store."""
    key_id = _random(_ID)
    body = f"{PREFIX}{key_id}_{_random(_SECRET)}"
    text = body + _check(body)
    return Minted(key_id, text, _digest(text))


def parse(text: str) -> tuple[str, bytes] | None:
    """The id and the digest of a key; None where the text cannot be one."""
    match = _KEY.fullmatch(text)
    if not match or match[3] != _check(text[:-_CHECK]):
        return None
    return match[1], _digest(text)


def key_name(key_id: str) -> str:
    """The name under which an API key is revoked."""
    return f"key:{key_id}"


def token_name(tenant: str, token_id: str) -> str:
    """The name under which a token is revoked: nobody's `jti` reaches into another tenant."""
    return f"token:{tenant}:{token_id}"


def page_token(last: ApiKey) -> str:
    """Names the place in a tenant's list that comes after the key."""
    text = f"{round(last.created * 1000)}.{last.key_id}"
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def place(token: str) -> tuple[float, str]:
    """When the last key before it was made, and its id. Raises InvalidArgument."""
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("ascii")
    except ValueError:
        text = ""
    match = _PLACE.fullmatch(text)
    if not match:
        raise errors.InvalidArgument.of("page_token", "is not one of ours")
    return int(match[1]) / 1000, match[2]


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _check(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECK):
        number, digit = divmod(number, len(_ALPHABET))
        digits += _ALPHABET[digit]
    return digits


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
