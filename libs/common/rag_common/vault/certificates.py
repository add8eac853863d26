"""A short-lived certificate from Vault's PKI, renewed in time; the old one is kept where that fails."""

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from rag_common import errors
from rag_common.certificates import Certificate
from rag_common.settings import SettingsInvalid
from rag_common.subscribers import Subscribers
from rag_common.vault.connection import Client
from rag_common.vault.failures import Refused, Unreachable
from rag_common.vault.request import Names, signing_request
from rag_common.vault.session import Session
from rag_common.vault.standing import Standing
from rag_common.vault.timing import Backoff, reached, renewal

log = structlog.get_logger()

_PART = "certificate"


class VaultCertificates:
    """Certificates of one PKI role, for the names given, each for `seconds`."""

    def __init__(
        self,
        session: Session,
        standing: Standing,
        mount: str,
        role: str,
        names: Names,
        seconds: float,
    ) -> None:
        self._session = session
        self._standing = standing
        self._mount = mount
        self._role = role
        self._names = names
        self._seconds = seconds
        self._current: Certificate | None = None
        self._due = 0.0
        self._renewed: Subscribers[Certificate] = Subscribers()
        self._backoff = Backoff()

    def current(self) -> Certificate:
        """The certificate to be shown from now on."""
        if self._current is None:
            raise errors.Unavailable("this service has no certificate yet")
        return self._current

    def subscribe(self, renewed: Callable[[Certificate], None]) -> None:
        """Call `renewed`, on the event loop, with every certificate that comes after the present one."""
        self._renewed.add(renewed)

    @property
    def seconds_left(self) -> float:
        """Until the present certificate ends; 0 where it has."""
        return max(self.current().not_after - time.time(), 0.0)

    async def ready(self) -> None:
        """Return while the present certificate is good. Raises Unavailable."""
        if not self.seconds_left:
            raise errors.Unavailable("this service's certificate has ended and is not renewed")

    async def renew(self) -> None:
        """Take a new certificate now. Raises Refused, Unreachable; the old one stays then."""
        try:
            found = await self._session.ask("pki.issue", self._issue)
        except Refused as error:
            raise Refused(
                f"Vault gives no certificate by {self._mount}/sign/{self._role}: {error}"
            ) from error
        first, self._current = self._current is None, found
        self._due = time.time() + renewal(found.not_after - time.time())
        log.info("certificate_issued", role=self._role, not_after=found.not_after)
        if not first:
            self._renewed.tell(found)

    async def keep(self) -> None:
        """Renew when two thirds of the certificate's life are over, until cancelled."""
        while True:
            await reached(lambda: self._due)
            try:
                await self.renew()
            except (Unreachable, SettingsInvalid) as error:
                self._standing.report(_PART, error)
                await asyncio.sleep(self._backoff.failed())
            else:
                self._backoff.succeeded()
                self._standing.report(_PART, None)

    def _issue(self, client: Client) -> Certificate:
        key, request = signing_request(self._names)
        reply = client.secrets.pki.sign_certificate(
            self._role,
            request,
            "",
            extra_params={"ttl": f"{round(self._seconds)}s"},
            mount_point=self._mount,
        )["data"]
        above = _parsed([*(reply.get("ca_chain") or []), reply["issuing_ca"]])
        leaf = x509.load_pem_x509_certificate(reply["certificate"].encode())
        between = [one for one in above if not _is_root(one)]
        return Certificate(
            chain=_pem([leaf, *between]),
            key=key,
            roots=self._roots(client, above),
            not_after=leaf.not_valid_after_utc.timestamp(),
        )

    def _roots(self, client: Client, above: Sequence[x509.Certificate]) -> bytes:
        """The roots of all issuers there are: in a change of authority both the old and the new."""
        issuers = client.secrets.pki.list_issuers(mount_point=self._mount)["data"]["keys"]
        found = list(above)
        for issuer in issuers:
            # By this path everyone may read an issuer; no policy needs to say so.
            data = client.read(f"{self._mount}/issuer/{issuer}/json")["data"]
            found += _parsed([*(data.get("ca_chain") or []), data["certificate"]])
        roots = _pem([one for one in found if _is_root(one)])
        if not roots:
            raise Refused(f"the mount {self._mount} has no root certificate: import it there")
        return roots


def _parsed(pems: Sequence[str]) -> list[x509.Certificate]:
    return [x509.load_pem_x509_certificate(pem.encode()) for pem in pems]


def _is_root(certificate: x509.Certificate) -> bool:
    """Signed by itself; the same name alone may also be a cross-signed one."""
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _pem(certificates: Sequence[x509.Certificate]) -> bytes:
    """Each certificate once, in the order of its first mention."""
    return b"".join(one.public_bytes(Encoding.PEM) for one in dict.fromkeys(certificates))
