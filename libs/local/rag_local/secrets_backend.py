"""A local Vault and Redis, and the settings with which the services use them."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rag_local.backends.redis import LocalRedis, run_redis
from rag_local.backends.vault import LocalVault, vault


class SecretsBackend:
    """A Vault that holds every secret, and a Redis whose password is one of them."""

    def __init__(self, local: LocalVault, redis: LocalRedis) -> None:
        self.vault = local
        self.redis = redis

    def settings(self, service: str) -> dict[str, str]:
        """The service's settings for one start; each start needs a secret id of its own."""
        prefix = service.upper()
        own = {**self.vault.environment(service), f"{prefix}_TLS": "vault"}
        if service == "gateway":
            own |= {
                "GATEWAY_SIGNER": "vault",
                "GATEWAY_CREDENTIALS": "redis",
                "GATEWAY_REDIS_URL": self.redis.url,
                "GATEWAY_REDIS_PASSWORD": "vault:rag/gateway/redis#password",
            }
        return own


@contextmanager
def run_secrets_backend(
    home: Path, extra: Mapping[str, Mapping[str, str]] | None = None, *, port: int = 0
) -> Iterator[SecretsBackend]:
    """Run both inside the block; `extra` are further secrets by path. Raises StartFailed."""
    password = secrets.token_urlsafe(24)
    stored = {"gateway/redis": {"password": password}, **(extra or {})}
    with ExitStack() as stack:
        local = stack.enter_context(vault(home, stored, port=port))
        redis = stack.enter_context(run_redis(home / "redis", password))
        yield SecretsBackend(local, redis)
