"""A service's Vault client: secrets, certificates and signers, refreshed in the background."""

from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager

from rag_common.aio import background
from rag_common.observability.dependency import Dependency
from rag_common.vault.certificates import CertificateNames, VaultCertificates
from rag_common.vault.connection import Connection
from rag_common.vault.failures import startup_errors
from rag_common.vault.secret import Secret
from rag_common.vault.session import Session, VaultState, VaultStatus
from rag_common.vault.settings import VaultOptions
from rag_common.vault.transit import TransitSigner
from rag_contract import errors


class Vault:
    """Secrets, certificates and signers of this service, each kept up to date after it was requested.

    The methods raise Unavailable if Vault cannot answer, and SettingsInvalid if it refuses or lacks
    what is requested: start-up ends with that error.
    """

    def __init__(self, options: VaultOptions, session: Session, status: VaultStatus) -> None:
        self._options = options
        self._session = session
        self._status = status
        self._running = AsyncExitStack()
        self._secrets: dict[str, Secret] = {}

    @property
    def state(self) -> VaultState:
        """The current status, for health checks and metrics."""
        return self._session.state

    async def check_health(self) -> None:
        """Raise DependencyDown while anything fails; the service continues, degraded, with cached data."""
        state = self.state
        if not state.ok:
            raise errors.DependencyDown(
                f"Vault is degraded: {state.error}", metadata={"error": state.error}
            )

    async def secret(self, path: str) -> Secret:
        """The secret at a path of the KV mount, shared by all callers for that path."""
        if path in self._secrets:
            return self._secrets[path]
        secret = Secret(self._session, self._status, self._options.kv_mount, path)
        with startup_errors():
            await secret.refresh()
        await self.run_in_background(secret.keep_fresh(self._options.poll))
        self._secrets[path] = secret
        return secret

    async def certificates(
        self, role: str, names: CertificateNames, seconds: float
    ) -> VaultCertificates:
        """This service's certificates, by a role of the PKI mount, each valid for `seconds`."""
        certificates = VaultCertificates(
            self._session, self._status, self._options.pki_mount, role, names, seconds
        )
        with startup_errors():
            await certificates.renew()
        await self.run_in_background(certificates.keep_renewed())
        return certificates

    async def signer(self, key: str) -> TransitSigner:
        """A signer of JWTs with a key of the transit mount."""
        signer = TransitSigner(self._session, self._options.transit_mount, key)
        with startup_errors():
            await signer.open()
        return signer

    async def run_in_background(self, work: Coroutine[None, None, None]) -> None:
        """Start the work, which runs until `close`."""
        await self._running.enter_async_context(background(work))

    async def close(self) -> None:
        """Cancel the background work and wait until it has ended."""
        await self._running.aclose()


@asynccontextmanager
async def open_vault(
    options: VaultOptions, dependency: Dependency | None = None
) -> AsyncIterator[Vault]:
    """Log in, stay logged in inside the block, and revoke the token at its end.

    Raises Unavailable if Vault is unreachable or sealed, SettingsInvalid if it refuses.
    """
    options.require_usable()
    connection, status = Connection(options, dependency), VaultStatus()
    session = Session(options, connection, status)
    vault = Vault(options, session, status)
    try:
        with startup_errors():
            await session.open()
        await vault.run_in_background(session.keep_alive())
        yield vault
    finally:
        await vault.close()
        await session.close()
        connection.close()
