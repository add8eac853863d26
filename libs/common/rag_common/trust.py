"""What a service trusts and is trusted by: its certificate and its secrets, from files or from Vault."""

import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import Gauge
from pydantic import SecretStr

from rag_common.certificates import Certificates
from rag_common.dependency import Dependency
from rag_common.metrics import Metrics
from rag_common.rpc.health import Check
from rag_common.rpc.listening import Guard
from rag_common.rpc.served import Allow, Authenticate
from rag_common.rpc.tls import watched
from rag_common.settings import SettingsInvalid
from rag_common.vault.settings import VaultSettings

if TYPE_CHECKING:
    from rag_common.vault.access import Vault
    from rag_common.vault.certificates import VaultCertificates

# Gives the secret as it is now: it may be another one at the next call.
Live = Callable[[], str]

_REFERENCE = re.compile(r"vault:([A-Za-z0-9/_-]+)#([A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class Trust:
    """A service's certificate and its way to Vault, each None where the settings name none."""

    certificates: Certificates | None
    vault: "Vault | None"
    wants: Mapping[str, Check]

    def guard(
        self,
        callers: Mapping[str, frozenset[str]],
        authenticate: Authenticate | None = None,
        *,
        unauthenticated: frozenset[str] = frozenset(),
        allow: Allow | None = None,
        sizes: Mapping[str, int] | None = None,
    ) -> Guard:
        """Who gets in, by this certificate."""
        return Guard(authenticate, self.certificates, callers, unauthenticated, allow, sizes or {})

    def measure(self, metrics: Metrics) -> None:
        """Tell how long the certificate is good, and how things stand with Vault."""
        if certificates := self.certificates:
            certificate_gauge(metrics).set_function(
                lambda: certificates.current().not_after - time.time()
            )
        if vault := self.vault:
            up, lease = secrets_gauges(metrics)
            up.set_function(lambda: float(vault.state.ok))
            lease.set_function(lambda: vault.state.lease_seconds)

    async def secret(self, given: SecretStr, variable: str) -> Live:
        """The setting's value; where that is `vault:PATH#FIELD`, what Vault holds there at each moment.

        Raises SettingsInvalid where the reference or what it names is unfit, Unavailable where Vault
        does not answer.
        """
        text = given.get_secret_value()
        if not text.startswith("vault:"):
            return lambda: text
        match = _REFERENCE.fullmatch(text)
        if not match:
            raise SettingsInvalid(
                f"{variable} is unfit: a secret in Vault is named vault:PATH#FIELD"
            )
        if not self.vault:
            raise SettingsInvalid(
                f"{variable} is in Vault, and no VAULT_ADDRESS says where that is"
            )
        path, field = match.groups()
        secret = await self.vault.secret(path)
        # Now rather than at the first call: the service must not start without it.
        secret.get(field)
        return lambda: secret.get(field)


def certificate_gauge(metrics: Metrics) -> Gauge:
    """Made only where there is a certificate: without one, no value would be true."""
    return metrics.gauge(
        "rag_certificate_seconds", "Seconds until this service's certificate ends."
    )


def secrets_gauges(metrics: Metrics) -> tuple[Gauge, Gauge]:
    """Made only where there is a Vault."""
    up = metrics.gauge("rag_secrets_up", "Whether Vault answers and gives what this service needs.")
    lease = metrics.gauge(
        "rag_secrets_lease_seconds", "Seconds until this service's login at Vault ends."
    )
    return up, lease


@asynccontextmanager
async def trusted(
    settings: VaultSettings, service: str, metrics: Metrics | None = None
) -> AsyncIterator[Trust]:
    """Open what the settings name, and keep it fresh inside the block.

    Raises SettingsInvalid, and Unavailable where Vault does not answer.
    """
    wants: dict[str, Check] = {}
    async with AsyncExitStack() as stack:
        vault = await _vault(stack, settings, service, metrics or Metrics())
        if vault:
            wants["secrets"] = vault.answering
        certificates: Certificates | None = None
        if settings.tls == "files":
            files = watched(settings.tls_dir, settings.tls_reload)
            certificates = await stack.enter_async_context(files)
        elif settings.tls == "vault":
            issued = await _issued(vault, settings, service)
            wants["certificate"] = issued.ready
            certificates = issued
        yield Trust(certificates, vault, wants)


async def _vault(
    stack: AsyncExitStack, settings: VaultSettings, service: str, metrics: Metrics
) -> "Vault | None":
    options = settings.vault_options(service)
    if not options:
        return None
    # Here, for without Vault its client library is not needed, and takes its time to load.
    from rag_common.vault.access import open_vault

    calls = Dependency(metrics.dependencies, "vault", {"rag.system": "vault"})
    return await stack.enter_async_context(open_vault(options, calls))


async def _issued(
    vault: "Vault | None", settings: VaultSettings, service: str
) -> "VaultCertificates":
    from rag_common.vault.request import Names

    prefix = settings.model_config["env_prefix"]
    if not vault:
        raise SettingsInvalid(f"{prefix}TLS is vault, and {prefix}VAULT_ADDRESS says none")
    names = Names.of(
        service,
        settings.tls_trust_domain,
        _listed(settings.vault_dns_names) or (service, "localhost"),
        _listed(settings.vault_addresses),
    )
    return await vault.certificates(service, names, settings.vault_certificate_ttl)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
