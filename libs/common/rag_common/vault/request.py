"""A key made here, and the request for a certificate over it, which is all of it that travels."""

from dataclasses import dataclass
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


@dataclass(frozen=True, slots=True)
class Names:
    """What a certificate is to say of its holder: DNS names, IP addresses, and a SPIFFE ID."""

    dns: tuple[str, ...]
    spiffe_id: str
    addresses: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, service: str, trust_domain: str, dns: tuple[str, ...], addresses: tuple[str, ...] = ()
    ) -> "Names":
        """The names of a service in a trust domain."""
        return cls(dns, f"spiffe://{trust_domain}/{service}", addresses)


def signing_request(names: Names) -> tuple[bytes, str]:
    """A new P-256 key and a request that it signs, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName(_alternatives(names)), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, request.public_bytes(Encoding.PEM).decode()


def _alternatives(names: Names) -> list[x509.GeneralName]:
    return [
        *(x509.DNSName(name) for name in names.dns),
        *(x509.IPAddress(ip_address(address)) for address in names.addresses),
        x509.UniformResourceIdentifier(names.spiffe_id),
    ]
