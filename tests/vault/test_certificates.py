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

from rag_common.certificates import Certificate, Certificates
from rag_common.errors import Unavailable
from rag_common.settings import SettingsInvalid
from rag_common.vault.access import Vault, open_vault
from rag_common.vault.options import VaultOptions
from rag_common.vault.request import Names
from rag_local.vault import LocalVault
from rag_local.vault_setup import add_issuer
from tests.vault.conftest import Outage, entrance
from tests.vault.handshakes import shake_hands
from tests.vault.neighbours import Recorder
from tests.waiting import until

NAMES = Names.of("gateway", "rag-platform", ("gateway", "localhost"), ("127.0.0.1",))
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


async def test_a_leaf_says_the_names_and_the_spiffe_id(opened: Vault) -> None:
    found = names((await opened.certificates("gateway", NAMES, HOUR)).current())
    assert found.get_values_for_type(x509.DNSName) == ["gateway", "localhost"]
    assert found.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.1")]
    assert found.get_values_for_type(x509.UniformResourceIdentifier) == [
        "spiffe://rag-platform/gateway"
    ]


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


async def test_a_leaf_is_for_servers_and_clients_and_is_no_authority(opened: Vault) -> None:
    extensions = leaf((await opened.certificates("gateway", NAMES, HOUR)).current()).extensions
    uses = set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    assert {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH} <= uses
    authority = [e.value.ca for e in extensions if isinstance(e.value, x509.BasicConstraints)]
    assert not any(authority)


async def test_two_services_trust_each_other(
    local: LocalVault, opened: Vault, tmp_path: Path
) -> None:
    async with open_vault(entrance(local, "embedder")) as other:
        own = Names.of("embedder", "rag-platform", ("embedder",))
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


async def test_the_key_is_the_leafs(opened: Vault) -> None:
    current = (await opened.certificates("gateway", NAMES, HOUR)).current()
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    own = load_pem_private_key(current.key, None).public_key().public_bytes(*form)
    assert leaf(current).public_key().public_bytes(*form) == own


async def test_a_certificate_is_renewed_with_a_key_of_its_own_and_told_of(opened: Vault) -> None:
    certificates: Certificates = await opened.certificates("gateway", NAMES, 2)
    first, heard = certificates.current(), list[Certificate]()
    certificates.subscribe(heard.append)
    await until(lambda: len(heard) >= 2, "two renewals")
    assert certificates.current() == heard[-1]
    assert len({first.key, *(one.key for one in heard)}) == 1 + len(heard)


async def test_a_certificate_is_renewed_before_it_ends(opened: Vault) -> None:
    certificates = await opened.certificates("gateway", NAMES, 3)
    ended, heard = certificates.current().not_after, list[float]()
    certificates.subscribe(lambda _certificate: heard.append(time.time()))
    await until(lambda: heard, "a renewal")
    assert heard[0] < ended


async def test_the_old_certificate_is_kept_where_renewal_fails(
    opened: Vault, outage: Outage
) -> None:
    certificates = await opened.certificates("gateway", NAMES, 2)
    first = certificates.current()
    await outage.stop()
    await until(lambda: opened.state.troubles.get("certificate"), "a renewal that fails")
    assert certificates.current() == first


async def test_a_certificate_that_ended_is_told_by_its_check(opened: Vault, outage: Outage) -> None:
    certificates = await opened.certificates("gateway", NAMES, 2)
    await certificates.ready()
    await outage.stop()
    await until(lambda: certificates.seconds_left == 0, "its end")
    with pytest.raises(Unavailable, match="ended"):
        await certificates.ready()


async def test_a_certificate_is_renewed_when_vault_is_back(opened: Vault, outage: Outage) -> None:
    certificates = await opened.certificates("gateway", NAMES, 2)
    await outage.stop()
    await until(lambda: opened.state.troubles.get("certificate"), "a renewal that fails")
    await outage.back()
    await until(lambda: opened.state.ok and certificates.seconds_left > 0, "a new certificate")


async def test_a_renewal_that_fails_is_logged_once(opened: Vault, outage: Outage) -> None:
    await opened.certificates("gateway", NAMES, 2)
    with capture_logs() as lines:
        await outage.stop()
        await until(lambda: opened.state.troubles.get("certificate"), "a renewal that fails")
    assert [one["event"] for one in lines if one.get("part") == "certificate"] == ["vault_degraded"]


@pytest.mark.parametrize(
    "wanted",
    [
        Names.of("gateway", "rag-platform", ("embedder",)),
        Names.of("embedder", "rag-platform", ("gateway",)),
        Names.of("gateway", "elsewhere", ("gateway",)),
        Names.of("gateway", "rag-platform", ("x.gateway",)),
        Names.of("gateway", "rag-platform", ("gateway",), ("10.0.0.1",)),
    ],
    ids=["name", "service", "trust domain", "subdomain", "address"],
)
async def test_a_role_vouches_for_nothing_but_its_own_service(opened: Vault, wanted: Names) -> None:
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
