"""A short-lived certificate from Vault's PKI, renewed in time; if that fails the old one stays in use."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rag_common.security.certificates import Certificate
from rag_common.security.subscribers import Subscribers
from rag_common.settings import SettingsInvalid
from rag_common.vault.connection import Client
from rag_common.vault.failures import Refused, Unreachable
from rag_common.vault.renewal import Backoff, renewal_delay, sleep_until
from rag_common.vault.session import Session, VaultStatus
from rag_contract import errors

log = structlog.get_logger()

_PART = "certificate"


@dataclass(frozen=True, slots=True)
class CertificateNames:
    """A certificate's subject alternative names: DNS names, IP addresses, and a SPIFFE ID if not empty."""

    dns: tuple[str, ...]
    spiffe_id: str = ""
    addresses: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, service: str, trust_domain: str, dns: tuple[str, ...], addresses: tuple[str, ...] = ()
    ) -> "CertificateNames":
        """The names of a service in a trust domain."""
        return cls(dns, f"spiffe://{trust_domain}/{service}", addresses)


def signing_request(names: CertificateNames) -> tuple[bytes, str]:
    """A new P-256 private key and a certificate signing request for it, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName(_alternatives(names)), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, request.public_bytes(Encoding.PEM).decode()


def _alternatives(names: CertificateNames) -> list[x509.GeneralName]:
    return [
        *(x509.DNSName(name) for name in names.dns),
        *(x509.IPAddress(ip_address(address)) for address in names.addresses),
        *(x509.UniformResourceIdentifier(uri) for uri in (names.spiffe_id,) if uri),
    ]


class VaultCertificates:
    """Certificates of one PKI role for `names`, each valid for `seconds`."""

    def __init__(
        self,
        session: Session,
        status: VaultStatus,
        mount: str,
        role: str,
        names: CertificateNames,
        seconds: float,
    ) -> None:
        self._session = session
        self._status = status
        self._mount = mount
        self._role = role
        self._names = names
        self._seconds = seconds
        self._current: Certificate | None = None
        self._due = 0.0
        self._renewed: Subscribers[Certificate] = Subscribers("certificate")
        self._backoff = Backoff()

    def current(self) -> Certificate:
        """The certificate to present in new handshakes."""
        if self._current is None:
            raise errors.ConnectionInsecure("this service has no certificate yet")
        return self._current

    def subscribe(self, renewed: Callable[[Certificate], None]) -> None:
        """Call `renewed`, on the event loop, with every certificate that replaces the current one."""
        self._renewed.add(renewed)

    @property
    def seconds_left(self) -> float:
        """Seconds until the current certificate expires; 0 if it has expired."""
        return max(self.current().not_after - time.time(), 0.0)

    async def ready(self) -> None:
        """Raise ConnectionInsecure if the current certificate has expired."""
        if not self.seconds_left:
            raise errors.ConnectionInsecure(
                "this service's certificate has expired and could not be renewed"
            )

    async def renew(self) -> None:
        """Request a new certificate now. Raises Refused, Unreachable; the old one stays then."""
        try:
            issued = await self._session.call("pki.issue", self._issue)
        except Refused as error:
            raise Refused(
                f"Vault refuses to issue a certificate at {self._mount}/sign/{self._role}: {error}"
            ) from error
        first, self._current = self._current is None, issued
        self._due = time.time() + renewal_delay(issued.not_after - time.time())
        log.info("certificate_issued", role=self._role, not_after=issued.not_after)
        if not first:
            self._renewed.notify(issued)

    async def keep_renewed(self) -> None:
        """Renew whenever two thirds of the certificate's lifetime have passed, until cancelled."""
        while True:
            await sleep_until(lambda: self._due)
            try:
                await self.renew()
            except (Unreachable, SettingsInvalid) as error:
                self._status.report(_PART, error)
                await asyncio.sleep(self._backoff.failed())
            else:
                self._backoff.succeeded()
                self._status.report(_PART, None)

    def _issue(self, client: Client) -> Certificate:
        key, request = signing_request(self._names)
        reply = client.secrets.pki.sign_certificate(
            self._role,
            request,
            "",
            extra_params={"ttl": f"{round(self._seconds)}s"},
            mount_point=self._mount,
        )["data"]
        issuers = _parsed([*(reply.get("ca_chain") or []), reply["issuing_ca"]])
        leaf = x509.load_pem_x509_certificate(reply["certificate"].encode())
        intermediates = [one for one in issuers if not _is_root(one)]
        return Certificate(
            chain=_pem([leaf, *intermediates]),
            key=key,
            roots=self._roots(client, issuers),
            not_after=leaf.not_valid_after_utc.timestamp(),
        )

    def _roots(self, client: Client, chain: Sequence[x509.Certificate]) -> bytes:
        """The roots of all the mount's issuers: during a CA rotation both the old and the new one."""
        issuers = client.secrets.pki.list_issuers(mount_point=self._mount)["data"]["keys"]
        certificates = list(chain)
        for issuer in issuers:
            # This path is public; it needs no policy.
            data = client.read(f"{self._mount}/issuer/{issuer}/json")["data"]
            certificates += _parsed([*(data.get("ca_chain") or []), data["certificate"]])
        roots = _pem([one for one in certificates if _is_root(one)])
        if not roots:
            raise Refused(f"the mount {self._mount} has no root certificate: import it there")
        return roots


def _parsed(pems: Sequence[str]) -> list[x509.Certificate]:
    return [x509.load_pem_x509_certificate(pem.encode()) for pem in pems]


def _is_root(certificate: x509.Certificate) -> bool:
    """Whether it is self-signed; equal subject and issuer alone may be a cross-signed certificate."""
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _pem(certificates: Sequence[x509.Certificate]) -> bytes:
    """The certificates as PEM without duplicates, in order of first occurrence."""
    return b"".join(one.public_bytes(Encoding.PEM) for one in dict.fromkeys(certificates))
