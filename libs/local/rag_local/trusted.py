"""Vault and Redis of this machine, and what each service is told so that everything comes from there."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rag_local.redis_server import redis_server
from rag_local.vault import LocalVault, vault

# By name of a service: the settings that are its own.
Own = Callable[[str], Mapping[str, str]]


class Trusted:
    """A Vault that holds every secret, and a Redis whose password is one of them."""

    def __init__(self, local: LocalVault, redis_url: str) -> None:
        self.vault = local
        self._redis_url = redis_url

    def settings(self, service: str) -> dict[str, str]:
        """What the service is told at a start; each start needs a secret id of its own."""
        prefix = service.upper()
        own = {**self.vault.environment(service), f"{prefix}_TLS": "vault"}
        if service == "gateway":
            own |= {
                "GATEWAY_SIGNER": "vault",
                "GATEWAY_CREDENTIALS": "redis",
                "GATEWAY_REDIS_URL": self._redis_url,
                "GATEWAY_REDIS_PASSWORD": "vault:rag/gateway/redis#password",
            }
        return own


@contextmanager
def trusted(
    home: Path, more: Mapping[str, Mapping[str, str]] | None = None, *, port: int = 0
) -> Iterator[Trusted]:
    """Both, running inside; `more` are further secrets by path. Raises StartFailed."""
    password = secrets.token_urlsafe(24)
    held = {"gateway/redis": {"password": password}, **(more or {})}
    with ExitStack() as stack:
        local = stack.enter_context(vault(home, held, port=port))
        url = stack.enter_context(redis_server(home / "redis", password))
        yield Trusted(local, url)
