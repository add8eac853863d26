"""Mutual TLS with certificates that are renewed while calls go on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from rag_common.certificates import Certificate, Certificates
from rag_common.settings import SettingsInvalid
from rag_common.subscribers import Subscribers

log = structlog.get_logger()

# The names under which Kubernetes keeps a certificate in a secret.
_CHAIN, _KEY, _ROOTS = "tls.crt", "tls.key", "ca.crt"


def server_credentials(certificates: Certificates) -> grpc.ServerCredentials:
    """Show the present certificate at each handshake, and ask the other side for one of the same roots."""
    newest = [_configuration(certificates.current())]

    def renew(certificate: Certificate) -> None:
        newest[0] = _configuration(certificate)

    certificates.subscribe(renew)
    return grpc.dynamic_ssl_server_credentials(
        newest[0], lambda: newest[0], require_client_authentication=True
    )


def channel_credentials(certificate: Certificate) -> grpc.ChannelCredentials:
    """Show the certificate to a server of the same roots."""
    return grpc.ssl_channel_credentials(
        certificate.roots, private_key=certificate.key, certificate_chain=certificate.chain
    )


def _configuration(certificate: Certificate) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(certificate.key, certificate.chain)], root_certificates=certificate.roots
    )


class FileCertificates:
    """A certificate that somebody else keeps in a folder: tls.crt, tls.key and ca.crt, all PEM."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._renewed: Subscribers[Certificate] = Subscribers()
        try:
            self._current = _read(folder)
        except (OSError, ValueError) as error:
            raise SettingsInvalid(f"{folder} holds no certificate to serve with: {error}") from None

    def current(self) -> Certificate:
        """The certificate that was read last."""
        return self._current

    def subscribe(self, renewed: Callable[[Certificate], None]) -> None:
        """Call `renewed` with every certificate that is found after this one."""
        self._renewed.add(renewed)

    async def watch(self, interval: float) -> None:
        """Look for another certificate every `interval` seconds, until cancelled."""
        while True:
            await asyncio.sleep(interval)
            await self.look()

    async def look(self) -> None:
        """Take what the folder holds now; the old one stays where that is unfit or half written."""
        try:
            found = await asyncio.to_thread(_read, self._folder)
        except (OSError, ValueError) as error:
            log.warning("certificate_unreadable", error=type(error).__name__)
            return
        if found != self._current:
            self._current = found
            log.info("certificate_renewed", not_after=found.not_after)
            self._renewed.tell(found)


@asynccontextmanager
async def watched(folder: Path, interval: float) -> AsyncIterator[FileCertificates]:
    """The folder's certificate, looked at again every `interval` seconds. Raises SettingsInvalid."""
    certificates = FileCertificates(folder)
    watching = asyncio.create_task(certificates.watch(interval))
    try:
        yield certificates
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


def _read(folder: Path) -> Certificate:
    chain, key, roots = (folder.joinpath(name).read_bytes() for name in (_CHAIN, _KEY, _ROOTS))
    leaf = x509.load_pem_x509_certificates(chain)[0]
    own = load_pem_private_key(key, None).public_key()
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if own.public_bytes(*form) != leaf.public_key().public_bytes(*form):
        raise ValueError("the key is not the certificate's")
    x509.load_pem_x509_certificates(roots)
    return Certificate(chain, key, roots, leaf.not_valid_after_utc.timestamp())
