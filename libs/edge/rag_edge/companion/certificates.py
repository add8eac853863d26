"""The edge's certificates from Vault, written into the folders that Envoy watches."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from rag_common.observability.dependency import Dependency
from rag_common.settings import SettingsInvalid
from rag_common.vault.certificates import CertificateNames
from rag_common.vault.client import Vault, open_vault
from rag_common.vault.renewal import Backoff
from rag_common.vault.settings import VaultOptions
from rag_contract import errors
from rag_edge.companion.folders import seconds_left, write_certificate
from rag_edge.companion.settings import Settings

log = structlog.get_logger()

SERVICE = "edge"


@dataclass(frozen=True, slots=True)
class FolderCertificate:
    """A certificate that a folder is to hold, and the PKI role that issues it."""

    folder: Path
    role: str
    names: CertificateNames


def folder_certificates(settings: Settings) -> list[FolderCertificate]:
    """The certificate for the gateway, and the one for clients if they call by names of their own."""
    names = CertificateNames.of(
        SERVICE, settings.tls_trust_domain, _split(settings.vault_dns_names) or (SERVICE,)
    )
    result = [FolderCertificate(settings.identity, SERVICE, names)]
    if public := _split(settings.public_names):
        names = CertificateNames(public)
        result.append(FolderCertificate(settings.certificates, settings.public_role, names))
    return result


class CertificateWriter:
    """Gets the certificates, writes them into their folders, and keeps both current."""

    def __init__(
        self,
        options: VaultOptions,
        certificates: Sequence[FolderCertificate],
        seconds: float,
        calls: Dependency | None = None,
    ) -> None:
        self._options = options
        self._certificates = certificates
        self._seconds = seconds
        self._calls = calls
        self._vault: Vault | None = None

    @property
    def seconds_left(self) -> float:
        """Seconds until the first certificate expires; 0 if one has, or is missing."""
        return min(seconds_left(one.folder) for one in self._certificates)

    @property
    def vault_works(self) -> bool:
        """Whether Vault answers and gives what is requested."""
        return self._vault is not None and self._vault.state.ok

    @property
    def lease_seconds(self) -> float:
        """Seconds until the login at Vault ends; 0 if there is none."""
        return self._vault.state.lease_seconds if self._vault else 0.0

    async def write(self) -> None:
        """Write new certificates now. Raises Unavailable, SettingsInvalid, OSError."""
        async with open_vault(self._options, self._calls) as vault:
            await self._write(vault)

    async def keep_current(self) -> None:
        """Write new certificates now and whenever they are renewed, until cancelled.

        While Vault is unavailable or refuses, tries again; the folders keep what they have.
        """
        backoff = Backoff()
        while True:
            try:
                async with open_vault(self._options, self._calls) as vault:
                    await self._write(vault)
                    self._vault = vault
                    await asyncio.Event().wait()
            except (errors.Unavailable, SettingsInvalid, OSError) as error:
                log.warning("edge_certificates_unavailable", error=type(error).__name__)
                await asyncio.sleep(backoff.failed())

    async def _write(self, vault: Vault) -> None:
        for one in self._certificates:
            issued = await vault.certificates(one.role, one.names, self._seconds)
            write_certificate(one.folder, issued.current())
            issued.subscribe(partial(write_certificate, one.folder))


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
