"""Which services to look at, and where their pages are."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

_PORTS = {"gateway": 50071, "embedder": 50072, "retriever": 50073, "generator": 50074}
_NAMED = re.compile(r"(?:(?P<name>[\w.-]+)=)?(?P<url>https?://.+)")


@dataclass(frozen=True, slots=True)
class Target:
    """A service and the root of its HTTP port."""

    name: str
    url: str


def targets(written: Iterable[str]) -> list[Target]:
    """Of `service=http://host:port`, the name may be missing; of nothing, the four on this machine.

    Raises ValueError where one is no such thing.
    """
    every = [part for text in written for part in text.replace(",", " ").split()]
    return [_target(text) for text in every] or [
        Target(name, f"http://127.0.0.1:{port}") for name, port in _PORTS.items()
    ]


def _target(text: str) -> Target:
    found = _NAMED.fullmatch(text)
    try:
        url = urlsplit(found["url"] if found else "")
        # To ask for the port is to have it checked.
        host, port = url.hostname, url.port
    except ValueError:
        host, port = None, None
    if not found or not host:
        raise ValueError(f"{text!r} is not service=http://host:port")
    return Target(found["name"] or f"{host}:{port or 80}", found["url"].rstrip("/"))
