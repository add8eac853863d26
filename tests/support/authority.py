"""A certificate authority for tests: leaves with a DNS name and a SPIFFE ID, as Vault would sign them."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from rag_common.security.certificates import Certificate

TRUST_DOMAIN = "rag-platform"
_SECOND = datetime.timedelta(seconds=1)


class Authority:
    """Signs leaves, for the number of seconds that a test wants."""

    def __init__(self, name: str = "test authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        root = _builder(self._name, self._name, self._key.public_key(), 86_400)
        signed = root.add_extension(constraints, critical=True).sign(self._key, hashes.SHA256())
        self.roots = signed.public_bytes(Encoding.PEM)

    def certificate(
        self, name: str, *, seconds: float = 3600, identity: str | None = None
    ) -> Certificate:
        """A leaf for the service `name`, which has ended already where `seconds` is negative."""
        key = ec.generate_private_key(ec.SECP256R1())
        spiffe = identity or f"spiffe://{TRUST_DOMAIN}/{name}"
        names = x509.SubjectAlternativeName(
            [
                x509.DNSName(name),
                x509.UniformResourceIdentifier(spiffe),
                x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            ]
        )
        leaf = (
            _builder(x509.Name([]), self._name, key.public_key(), seconds)
            .add_extension(names, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        until = leaf.not_valid_after_utc.timestamp()
        return Certificate(leaf.public_bytes(Encoding.PEM), secret, self.roots, until)

    def lay(self, folder: Path, name: str, **how: float) -> Certificate:
        """Put a new leaf where a service looks for one: each file renamed into its place."""
        created = self.certificate(name, seconds=how.get("seconds", 3600))
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in (
            ("tls.crt", created.chain),
            ("tls.key", created.key),
            ("ca.crt", created.roots),
        ):
            draft = folder / f".{file}"
            draft.write_bytes(content)
            draft.rename(folder / file)
        return created


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, seconds: float
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 3600 * _SECOND)
        .not_valid_after(now + seconds * _SECOND)
    )
