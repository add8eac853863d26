"""A development certificate authority in a folder. In production certificates come from Vault."""

import ipaddress
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_ROOT_DAYS = 3650


class Authority:
    """A root certificate and its key, created if the folder has none; clients trust `ca.crt`."""

    def __init__(self, folder: Path) -> None:
        self.roots = folder / "ca.crt"
        key = folder / "ca.key"
        if not (self.roots.is_file() and key.is_file()):
            _create_root(self.roots, key)
        self._certificate = x509.load_pem_x509_certificate(self.roots.read_bytes())
        loaded = load_pem_private_key(key.read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)  # noqa: S101  # _make_root's own
        self._key = loaded

    def issue(self, folder: Path, names: Sequence[str], *, days: float = 30) -> None:
        """Write tls.key, tls.crt and ca.crt for the names into the folder, each file atomically.

        A name is a DNS name, an IP address or a URI. The key is written first: a concurrent reader
        sees a pair that does not match, and keeps its previous one.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _leaf(self._certificate, self._key, key, names, timedelta(days=days))
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "ca.crt", self.roots.read_bytes())
        _write(folder / "tls.key", _pem(key))
        _write(folder / "tls.crt", certificate.public_bytes(Encoding.PEM))


def _create_root(roots: Path, private: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rag development root")])
    usage = x509.KeyUsage(*(position in (5, 6) for position in range(9)))
    certificate = (
        _builder(timedelta(days=_ROOT_DAYS))
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    roots.parent.mkdir(parents=True, exist_ok=True)
    _write(private, _pem(key))
    _write(roots, certificate.public_bytes(Encoding.PEM))


def _leaf(
    root: x509.Certificate,
    root_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
    names: Sequence[str],
    life: timedelta,
) -> x509.Certificate:
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rag development")])
    alternatives = x509.SubjectAlternativeName([_name(text) for text in names])
    return (
        _builder(life)
        .subject_name(subject)
        .issuer_name(root.subject)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(alternatives, critical=False)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .sign(root_key, hashes.SHA256())
    )


def _builder(life: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + life)
    )


def _name(text: str) -> x509.GeneralName:
    if "://" in text:
        return x509.UniformResourceIdentifier(text)
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, data: bytes) -> None:
    """Write a temporary file and rename it, so that no reader sees a partial file; keys are private."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    mode = 0o600 if path.suffix == ".key" else 0o644
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
    temporary.rename(path)
