"""Vault as a service has it: opened when it starts, kept fresh while it runs, closed when it ends."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

import structlog

from rag_common import errors
from rag_common.dependency import Dependency
from rag_common.vault.certificates import VaultCertificates
from rag_common.vault.connection import Connection
from rag_common.vault.failures import starting
from rag_common.vault.options import VaultOptions
from rag_common.vault.request import Names
from rag_common.vault.secret import Secret
from rag_common.vault.session import Session
from rag_common.vault.standing import Standing, State
from rag_common.vault.transit import TransitSigner

log = structlog.get_logger()


class Vault:
    """Secrets, certificates and signatures in this service's name, each kept fresh from then on.

    Each of the methods raises Unavailable where Vault cannot answer, and SettingsInvalid where it
    refuses or lacks what is asked for: start-up ends with that sentence.
    """

    def __init__(self, options: VaultOptions, session: Session, standing: Standing) -> None:
        self._options = options
        self._session = session
        self._standing = standing
        self._tasks: list[asyncio.Task[None]] = []
        self._secrets: dict[str, Secret] = {}

    @property
    def state(self) -> State:
        """How things stand, for health pages and metrics."""
        return self._session.state

    async def answering(self) -> None:
        """Return while all is well. Raises Unavailable: the service goes on with what it has, degraded."""
        state = self.state
        if not state.ok:
            raise errors.Unavailable(
                f"Vault is not well: {state.error}", metadata={"error": state.error}
            )

    async def secret(self, path: str) -> Secret:
        """The secret at a path of the KV mount: one for all who ask for that path."""
        if path in self._secrets:
            return self._secrets[path]
        secret = Secret(self._session, self._standing, self._options.kv_mount, path)
        with starting():
            await secret.look()
        self.keep(secret.keep(self._options.poll))
        self._secrets[path] = secret
        return secret

    async def certificates(self, role: str, names: Names, seconds: float) -> VaultCertificates:
        """This service's certificate, by a role of the PKI mount, for so many seconds each."""
        found = VaultCertificates(
            self._session, self._standing, self._options.pki_mount, role, names, seconds
        )
        with starting():
            await found.renew()
        self.keep(found.keep())
        return found

    async def signer(self, key: str) -> TransitSigner:
        """Signatures by a key of the transit mount."""
        signer = TransitSigner(self._session, self._options.transit_mount, key)
        with starting():
            await signer.open()
        return signer

    def keep(self, work: Coroutine[None, None, None]) -> None:
        """Run the work until the end."""
        task = asyncio.create_task(work)
        task.add_done_callback(_tell_of_defect)
        self._tasks.append(task)

    async def close(self) -> None:
        """End what keeps things fresh."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def open_vault(
    options: VaultOptions, dependency: Dependency | None = None
) -> AsyncIterator[Vault]:
    """Log in, stay logged in inside the block, and give the token back.

    Raises Unavailable where Vault is unreachable or sealed, SettingsInvalid where it refuses.
    """
    options.require_usable()
    connection, standing = Connection(options, dependency), Standing()
    session = Session(options, connection, standing)
    vault = Vault(options, session, standing)
    try:
        with starting():
            await session.open()
        vault.keep(session.keep())
        yield vault
    finally:
        await vault.close()
        await session.close()
        connection.close()


def _tell_of_defect(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("vault_upkeep_ended", exc_info=error)
