"""A service's identity: its certificate and its secrets, from files or from Vault."""

import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import Gauge
from pydantic import SecretStr

from rag_common.grpc.readiness import Check
from rag_common.observability.dependency import Dependency
from rag_common.observability.metrics import Metrics
from rag_common.security.certificates import Certificates
from rag_common.security.tls import watch_certificates
from rag_common.settings import SettingsInvalid
from rag_common.vault.settings import VaultSettings

if TYPE_CHECKING:
    from rag_common.vault.certificates import VaultCertificates
    from rag_common.vault.client import Vault

# Returns the current secret, which may change between calls.
SecretGetter = Callable[[], str]

_REFERENCE = re.compile(r"vault:([A-Za-z0-9/_-]+)#([A-Za-z0-9_-]+)")
_FILE = "file:"


class FileSecret:
    """A secret in a file that another process maintains, such as a mounted Secret of Kubernetes.

    The file is read at each call, without surrounding white space; the last text stays in use while it
    is missing or empty. Raises SettingsInvalid if it is so at the start.
    """

    def __init__(self, path: Path, variable: str) -> None:
        self._path = path
        self._text = self._read()
        if not self._text:
            raise SettingsInvalid(f"{variable}: {path} is missing, empty or no text")

    def __call__(self) -> str:
        self._text = self._read() or self._text
        return self._text

    def __repr__(self) -> str:
        return f"FileSecret({self._path})"

    def _read(self) -> str:
        try:
            return self._path.read_text("utf-8").strip()
        except (OSError, ValueError):
            return ""


@dataclass(frozen=True, slots=True)
class ServiceIdentity:
    """A service's certificate and Vault client, each None if the settings name none.

    `optional_checks` are the health checks of both.
    """

    certificates: Certificates | None
    vault: "Vault | None"
    optional_checks: Mapping[str, Check]

    async def secret(self, setting: SecretStr, variable: str) -> SecretGetter:
        """A getter of the setting's value.

        For `vault:PATH#FIELD` it returns Vault's current value, and for `file:PATH` the file's current
        text. `variable` names the setting in errors. Raises SettingsInvalid if the reference is invalid
        or names no secret, Unavailable if Vault does not answer.
        """
        text = setting.get_secret_value()
        if text.startswith(_FILE):
            return FileSecret(Path(text.removeprefix(_FILE)), variable)
        if not text.startswith("vault:"):
            return lambda: text
        match = _REFERENCE.fullmatch(text)
        if not match:
            raise SettingsInvalid(
                f"{variable} is invalid: a secret in Vault is named vault:PATH#FIELD"
            )
        if not self.vault:
            raise SettingsInvalid(f"{variable} refers to Vault, but VAULT_ADDRESS is not set")
        path, field = match.groups()
        secret = await self.vault.secret(path)
        # Read once at start-up: the service must not start without it.
        secret.get(field)
        return lambda: secret.get(field)


def certificate_gauge(metrics: Metrics) -> Gauge:
    """The gauge of the certificate's remaining lifetime; create it only if there is a certificate."""
    return metrics.gauge(
        "rag_certificate_seconds", "Seconds until this service's certificate ends."
    )


def secrets_gauges(metrics: Metrics) -> tuple[Gauge, Gauge]:
    """The gauges of Vault's status and of the login's remaining lifetime; create them only with Vault."""
    up = metrics.gauge("rag_secrets_up", "Whether Vault answers and gives what this service needs.")
    lease = metrics.gauge(
        "rag_secrets_lease_seconds", "Seconds until this service's login at Vault ends."
    )
    return up, lease


@asynccontextmanager
async def open_identity(
    settings: VaultSettings, service: str, metrics: Metrics | None = None
) -> AsyncIterator[ServiceIdentity]:
    """Open the certificate and Vault of the settings, and keep both up to date inside the block.

    `metrics` gets their gauges; None publishes none. Raises SettingsInvalid, and Unavailable if Vault
    does not answer.
    """
    checks: dict[str, Check] = {}
    metrics = metrics or Metrics()
    async with AsyncExitStack() as stack:
        vault = await _open_vault(stack, settings, service, metrics)
        if vault:
            checks["secrets"] = vault.check_health
        certificates: Certificates | None = None
        if settings.tls == "files":
            files = watch_certificates(settings.tls_dir, settings.tls_reload)
            certificates = await stack.enter_async_context(files)
        elif settings.tls == "vault":
            issued = await _issue_certificates(vault, settings, service)
            checks["certificate"] = issued.ready
            certificates = issued
        _register_metrics(certificates, vault, metrics)
        yield ServiceIdentity(certificates, vault, checks)


def _register_metrics(
    certificates: Certificates | None, vault: "Vault | None", metrics: Metrics
) -> None:
    """Publish the certificate's remaining lifetime and Vault's status."""
    if certificates:
        certificate_gauge(metrics).set_function(
            lambda: certificates.current().not_after - time.time()
        )
    if vault:
        up, lease = secrets_gauges(metrics)
        up.set_function(lambda: float(vault.state.ok))
        lease.set_function(lambda: vault.state.lease_seconds)


async def _open_vault(
    stack: AsyncExitStack, settings: VaultSettings, service: str, metrics: Metrics
) -> "Vault | None":
    options = settings.vault_options(service)
    if not options:
        return None
    # Imported here, as the client library is slow to load and is not needed without Vault.
    from rag_common.vault.client import open_vault

    calls = Dependency(metrics.dependencies, "vault", {"rag.system": "vault"})
    return await stack.enter_async_context(open_vault(options, calls))


async def _issue_certificates(
    vault: "Vault | None", settings: VaultSettings, service: str
) -> "VaultCertificates":
    from rag_common.vault.certificates import CertificateNames

    prefix = settings.model_config["env_prefix"]
    if not vault:
        raise SettingsInvalid(f"{prefix}TLS is vault, but {prefix}VAULT_ADDRESS is not set")
    names = CertificateNames.of(
        service,
        settings.tls_trust_domain,
        _split(settings.vault_dns_names) or (service, "localhost"),
        _split(settings.vault_addresses),
    )
    return await vault.certificates(service, names, settings.vault_certificate_ttl)


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
