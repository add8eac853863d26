"""Certificates: their names, their validity, and whether they are trusted."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from rag_cli.diagnosis import network
from rag_cli.diagnosis.checks import Address, Check, Status
from rag_cli.diagnosis.network import Handshake
from rag_client.transport.channel import ClientCertificate

# A certificate is due for renewal this long before its end, a short-lived one in its last tenth.
_DUE = timedelta(days=14)
_DUE_SHARE = 10
_RENEW = "renew the certificate, or find out why its automatic renewal fails"

# Parts of OpenSSL's messages about a certificate that it does not trust.
_ADVICE = {
    # An alert comes from the gateway, about the client's certificate.
    "alert certificate expired": "the certificate of --cert has expired: get a new one",
    "hostname mismatch": "call the gateway by a name in its certificate, see --target",
    "ip address mismatch": "call the gateway by a name in its certificate, see --target",
    "not yet valid": "set this machine's clock, for example by NTP",
    "expired": _RENEW,
    "certificate required": "set a client certificate: --cert and --cert-key, RAG_CERT_FILE and RAG_KEY_FILE",
    "handshake failure": "set a client certificate: --cert and --cert-key, RAG_CERT_FILE and RAG_KEY_FILE",
    "unknown ca": "the gateway does not trust the certificate of --cert: get one from its authority",
    "bad certificate": "the gateway does not accept the certificate of --cert: get a new one",
    "certificate unknown": "the gateway does not accept the certificate of --cert: get a new one",
    "closed after": "the gateway may require a client certificate: --cert and --cert-key",
}
_OTHER_AUTHORITY = (
    "set the file of the authority that signed the gateway's certificate: --ca or RAG_CA_FILE"
)


def server_checks(
    address: Address,
    unverified: Handshake,
    authorities: Path | None,
    own: ClientCertificate | None,
    timeout: float,
) -> Iterator[Check]:
    """The gateway's certificate: its validity, and whether this client trusts it."""
    if unverified.certificate:
        certificate = x509.load_der_x509_certificate(unverified.certificate)
        yield lifetime_check("gateway's certificate", certificate, datetime.now(UTC))
    verified = network.verified_handshake(address, authorities, own, timeout)
    roots = f"the authorities of {authorities}" if authorities else "the system's authorities"
    if not verified.error:
        yield Check("trust", "ok", f"the gateway is {address.expected_name} according to {roots}")
        return
    message = verified.error.lower()
    advice = next((text for part, text in _ADVICE.items() if part in message), _OTHER_AUTHORITY)
    yield Check("trust", "failure", f"no trusted connection by {roots}: {verified.error}", advice)


def own_check(own: ClientCertificate) -> Check:
    """The client's certificate. Raises OSError or ValueError if it cannot be read with its key."""
    _, chain = own.read()
    certificate = x509.load_pem_x509_certificate(chain)
    return lifetime_check("own certificate", certificate, datetime.now(UTC))


def lifetime_check(name: str, certificate: x509.Certificate, now: datetime) -> Check:
    """The certificate's names, issuer and validity."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    named = (
        f"for {', '.join(_names(certificate)) or 'nobody'}, by {_common_name(certificate.issuer)}"
    )
    if now < start:
        advice = "set this machine's clock, for example by NTP; or wait"
        return Check(name, "failure", f"{named}; valid from {start:%Y-%m-%d %H:%M} UTC", advice)
    if now >= end:
        return Check(name, "failure", f"{named}; expired {_format(now - end)} ago", _RENEW)
    left = end - now
    due = left < min(_DUE, (end - start) / _DUE_SHARE)
    status: Status = "warning" if due else "ok"
    return Check(name, status, f"{named}; {_format(left)} left", _RENEW if due else "")


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    names: list[object] = [
        *extension.value.get_values_for_type(x509.DNSName),
        *extension.value.get_values_for_type(x509.IPAddress),
        *extension.value.get_values_for_type(x509.UniformResourceIdentifier),
    ]
    return [str(name) for name in names]


def _common_name(name: x509.Name) -> str:
    names = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if names else name.rfc4514_string() or "an unnamed authority"


def _format(duration: timedelta) -> str:
    if duration >= timedelta(days=2):
        return f"{duration.days} days"
    minutes = int(duration.total_seconds() // 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
