"""A local Vault and Redis, and the settings with which the services use them."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rag_local.backends.redis import LocalRedis, run_redis
from rag_local.backends.vault import LocalVault, vault


class SecretsBackend:
    """A Vault that holds every secret, and a Redis whose password is one of them."""

    def __init__(self, local: LocalVault, redis_url: str) -> None:
        self.vault = local
        self._redis_url = redis_url

    def settings(self, label: str) -> dict[str, str]:
        """The settings of a replica for one start; each start needs a secret id of its own.

        `label` is the service's name, with the replica's number from the second on, as ServiceSpec's.
        """
        service = label.partition("-")[0]
        prefix = service.upper()
        own = {**self.vault.environment(service, label), f"{prefix}_TLS": "vault"}
        if service == "gateway":
            own |= {
                "GATEWAY_SIGNER": "vault",
                "GATEWAY_CREDENTIALS": "redis",
                "GATEWAY_REDIS_URL": self._redis_url,
                "GATEWAY_REDIS_PASSWORD": "vault:rag/gateway/redis#password",
            }
        return own


@contextmanager
def run_secrets_backend(
    home: Path, extra: Mapping[str, Mapping[str, str]] | None = None, *, port: int = 0
) -> Iterator[tuple[SecretsBackend, LocalRedis]]:
    """Run both inside the block; `extra` are further secrets by path. Raises StartFailed."""
    password = secrets.token_urlsafe(24)
    stored = {"gateway/redis": {"password": password}, **(extra or {})}
    with ExitStack() as stack:
        local = stack.enter_context(vault(home, stored, port=port))
        redis = stack.enter_context(run_redis(home / "redis", password))
        yield SecretsBackend(local, redis.url), redis
