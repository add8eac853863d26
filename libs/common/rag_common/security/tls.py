"""Mutual TLS with certificates that are renewed without interrupting calls."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from rag_common.aio import periodic
from rag_common.security.certificates import Certificate, Certificates
from rag_common.security.subscribers import Subscribers
from rag_common.settings import SettingsInvalid

log = structlog.get_logger()

# The file names of a Kubernetes TLS secret.
_CHAIN, _KEY, _ROOTS = "tls.crt", "tls.key", "ca.crt"


def server_credentials(certificates: Certificates) -> grpc.ServerCredentials:
    """Server credentials that present the current certificate, and require a client's of the same roots."""
    newest = [_configuration(certificates.current())]

    def renew(certificate: Certificate) -> None:
        newest[0] = _configuration(certificate)

    certificates.subscribe(renew)
    return grpc.dynamic_ssl_server_credentials(
        newest[0], lambda: newest[0], require_client_authentication=True
    )


def channel_credentials(certificate: Certificate) -> grpc.ChannelCredentials:
    """Client credentials that present the certificate and verify the server with its roots."""
    return grpc.ssl_channel_credentials(
        certificate.roots, private_key=certificate.key, certificate_chain=certificate.chain
    )


def _configuration(certificate: Certificate) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(certificate.key, certificate.chain)], root_certificates=certificate.roots
    )


class FileCertificates:
    """A certificate in a folder that another process maintains: tls.crt, tls.key and ca.crt, all PEM."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._renewed: Subscribers[Certificate] = Subscribers("certificate")
        try:
            self._current = _read(folder)
        except (OSError, ValueError) as error:
            raise SettingsInvalid(f"{folder} holds no usable certificate: {error}") from None

    def current(self) -> Certificate:
        """The certificate as last read."""
        return self._current

    def subscribe(self, renewed: Callable[[Certificate], None]) -> None:
        """Call `renewed` with every later certificate."""
        self._renewed.add(renewed)

    async def refresh(self) -> None:
        """Read the folder now; the current certificate stays if the files are invalid or incomplete."""
        try:
            certificate = await asyncio.to_thread(_read, self._folder)
        except (OSError, ValueError) as error:
            log.warning("certificate_unreadable", error=type(error).__name__)
            return
        if certificate != self._current:
            self._current = certificate
            log.info("certificate_renewed", not_after=certificate.not_after)
            self._renewed.notify(certificate)


@asynccontextmanager
async def watch_certificates(folder: Path, interval: float) -> AsyncIterator[FileCertificates]:
    """The folder's certificate, read again every `interval` seconds. Raises SettingsInvalid."""
    certificates = FileCertificates(folder)
    async with periodic(certificates.refresh, interval):
        yield certificates


def _read(folder: Path) -> Certificate:
    chain, key, roots = (folder.joinpath(name).read_bytes() for name in (_CHAIN, _KEY, _ROOTS))
    leaf = x509.load_pem_x509_certificates(chain)[0]
    own = load_pem_private_key(key, None).public_key()
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if own.public_bytes(*form) != leaf.public_key().public_bytes(*form):
        raise ValueError("the key does not match the certificate")
    x509.load_pem_x509_certificates(roots)
    return Certificate(chain, key, roots, leaf.not_valid_after_utc.timestamp())
