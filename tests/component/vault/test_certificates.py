"""Certificates from Vault's PKI."""

import base64
import ipaddress
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID
from structlog.testing import capture_logs

from rag_common.security.certificates import Certificate, Certificates
from rag_common.settings import SettingsInvalid
from rag_common.vault.certificates import CertificateNames
from rag_common.vault.client import Vault, open_vault
from rag_common.vault.settings import VaultOptions
from rag_contract.errors import Unavailable
from rag_local.backends.vault import LocalVault
from rag_local.backends.vault_setup import add_issuer
from tests.support.vault.fixtures import Outage, entrance
from tests.support.vault.handshakes import shake_hands
from tests.support.vault.neighbours import Recorder
from tests.support.waiting import until

NAMES = CertificateNames.of("gateway", "rag-platform", ("gateway", "localhost"), ("127.0.0.1",))
HOUR = 3600.0


def leaf(certificate: Certificate) -> x509.Certificate:
    return x509.load_pem_x509_certificates(certificate.chain)[0]


def names(certificate: Certificate) -> x509.SubjectAlternativeName:
    return leaf(certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value


@pytest.fixture
def second_authority(root: Any) -> Iterator[None]:
    """Another root, and an issuer below it that signs from now on."""
    former = root.read("pki/config/issuers")["data"]["default"]
    root.sys.enable_secrets_engine("pki", path="pki-root-2", config={"max_lease_ttl": "87600h"})
    root.secrets.pki.generate_root(
        "internal",
        "the next root",
        extra_params={"key_type": "ec", "key_bits": 256, "ttl": "87600h"},
        mount_point="pki-root-2",
    )
    issuer = add_issuer(root, "the next issuer", "pki-root-2")
    root.write_data("pki/config/issuers", data={"default": issuer})
    yield
    root.write_data("pki/config/issuers", data={"default": former})


async def test_a_leaf_has_its_names_its_uses_and_the_key(opened: Vault) -> None:
    current = (await opened.certificates("gateway", NAMES, HOUR)).current()
    result, extensions = names(current), leaf(current).extensions
    assert result.get_values_for_type(x509.DNSName) == ["gateway", "localhost"]
    assert result.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.1")]
    assert result.get_values_for_type(x509.UniformResourceIdentifier) == [
        "spiffe://rag-platform/gateway"
    ]
    uses = set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    assert {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH} <= uses
    authority = [e.value.ca for e in extensions if isinstance(e.value, x509.BasicConstraints)]
    assert not any(authority)
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    own = load_pem_private_key(current.key, None).public_key().public_bytes(*form)
    assert leaf(current).public_key().public_bytes(*form) == own


async def test_a_leaf_lives_as_long_as_asked(opened: Vault) -> None:
    certificates = await opened.certificates("gateway", NAMES, 600)
    assert 500 < certificates.seconds_left <= 601
    assert (
        certificates.current().not_after
        == leaf(certificates.current()).not_valid_after_utc.timestamp()
    )


async def test_a_leaf_lives_no_longer_than_its_role_allows(opened: Vault) -> None:
    certificates = await opened.certificates("gateway", NAMES, 90 * 86400)
    assert certificates.seconds_left <= 7 * 86400 + 60


async def test_two_services_trust_each_other(
    local: LocalVault, opened: Vault, tmp_path: Path
) -> None:
    async with open_vault(entrance(local, "embedder")) as other:
        own = CertificateNames.of("embedder", "rag-platform", ("embedder",))
        server = await other.certificates("embedder", own, HOUR)
        client = await opened.certificates("gateway", NAMES, HOUR)
        shake_hands(server.current(), client.current(), "embedder", tmp_path)


async def test_the_key_is_never_sent(options: VaultOptions, recorder: Recorder) -> None:
    async with open_vault(replace(options, address=recorder.address)) as vault:
        current = (await vault.certificates("gateway", NAMES, HOUR)).current()
    key = load_pem_private_key(current.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    raw = key.private_numbers().private_value.to_bytes(32, "big")
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    everything = b"".join(body for bodies in recorder.sent.values() for body in bodies)
    assert b"CERTIFICATE REQUEST" in everything
    assert not any(
        hidden in everything
        for hidden in (b"PRIVATE KEY", raw, base64.b64encode(der), raw.hex().encode())
    )


async def test_a_certificate_is_renewed_before_it_ends_with_a_key_of_its_own(
    opened: Vault,
) -> None:
    certificates: Certificates = await opened.certificates("gateway", NAMES, 3)
    first, renewed = certificates.current(), list[tuple[float, Certificate]]()
    certificates.subscribe(lambda certificate: renewed.append((time.time(), certificate)))
    await until(lambda: renewed, "a renewal")
    assert renewed[0][0] < first.not_after
    assert certificates.current() == renewed[-1][1]
    assert len({first.key, *(one.key for _, one in renewed)}) == 1 + len(renewed)


async def test_a_renewal_that_fails_keeps_the_certificate_until_vault_is_back(
    opened: Vault, outage: Outage
) -> None:
    certificates = await opened.certificates("gateway", NAMES, 2)
    with capture_logs() as lines:
        await outage.stop()
        first = certificates.current()
        await until(lambda: opened.state.errors.get("certificate"), "a renewal that fails")
        assert certificates.current() == first
        await until(lambda: certificates.seconds_left == 0, "its end")
        with pytest.raises(Unavailable, match="expired"):
            await certificates.ready()
    events = [one["event"] for one in lines if one.get("part") == "certificate"]
    assert events == ["vault_degraded"]
    await outage.back()
    await until(lambda: opened.state.ok and certificates.seconds_left > 0, "a new certificate")
    await certificates.ready()


@pytest.mark.parametrize(
    "wanted",
    [
        CertificateNames.of("gateway", "rag-platform", ("embedder",)),
        CertificateNames.of("embedder", "rag-platform", ("gateway",)),
        CertificateNames.of("gateway", "elsewhere", ("gateway",)),
        CertificateNames.of("gateway", "rag-platform", ("x.gateway",)),
        CertificateNames.of("gateway", "rag-platform", ("gateway",), ("10.0.0.1",)),
    ],
    ids=["name", "service", "trust domain", "subdomain", "address"],
)
async def test_a_role_vouches_for_nothing_but_its_own_service(
    opened: Vault, wanted: CertificateNames
) -> None:
    with pytest.raises(SettingsInvalid, match="pki/sign/gateway"):
        await opened.certificates("gateway", wanted, HOUR)


async def test_another_services_role_is_refused(opened: Vault) -> None:
    with pytest.raises(SettingsInvalid, match="pki/sign/embedder"):
        await opened.certificates("embedder", NAMES, HOUR)


async def test_both_authorities_are_trusted_while_one_follows_the_other(
    opened: Vault, root: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    certificates = await opened.certificates("gateway", NAMES, HOUR)
    old = certificates.current()
    request.getfixturevalue("second_authority")
    await certificates.renew()
    new = certificates.current()
    assert leaf(new).issuer != leaf(old).issuer
    still_old = Certificate(old.chain, old.key, new.roots, old.not_after)
    shake_hands(still_old, new, "gateway", tmp_path)
    shake_hands(new, still_old, "gateway", tmp_path)


async def test_only_roots_are_trusted_as_roots(opened: Vault) -> None:
    current = (await opened.certificates("gateway", NAMES, HOUR)).current()
    roots = x509.load_pem_x509_certificates(current.roots)
    assert roots
    for one in roots:
        one.verify_directly_issued_by(one)
