"""All checks in their order, each with a timeout; checks that depend on a failed one are skipped."""

import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import grpc

from rag_cli.diagnosis import certificates, gateway, machine, network
from rag_cli.diagnosis.checks import Address, Check, address_of
from rag_cli.diagnosis.credential import Credential, key_check, token_check
from rag_client.transport.channel import Gateway, is_loopback


@dataclass(frozen=True, slots=True)
class Subject:
    """The configuration to check; `timeout` is that of one step, in seconds.

    `pages` are the services' HTTP ports as in RAG_METRICS_URLS, or empty for those of this machine;
    `home` is the platform's folder, if the platform runs on this machine. `gateway` and `credential`
    raise OSError or ValueError for invalid options or files.
    """

    version: str
    gateway: Callable[[], Gateway]
    credential: Callable[[], tuple[Credential, str]]
    home: Path
    pages: Sequence[str]
    timeout: float


def diagnose(subject: Subject) -> Iterator[Check]:
    """Yield each check when it is complete."""
    yield Check(
        "client",
        "ok",
        f"rag {subject.version}, Python {platform.python_version()}, gRPC {grpc.__version__}",
    )
    credential = Credential("", "none")
    try:
        credential, missing_reason = subject.credential()
        yield token_check(credential, missing_reason)
    except (OSError, ValueError) as error:
        yield Check("token", "failure", str(error), "see --token, --token-file and their variables")
    try:
        server = subject.gateway()
        address = address_of(server.target)
        if address:
            address = replace(address, server_name=server.server_name)
        # This reads the files and sends nothing.
        server.open().close()
        yield _connection_check(server)
        if server.certificate:
            yield certificates.own_check(server.certificate)
    except (OSError, ValueError) as error:
        advice = "see --target, --ca, --cert, --cert-key and their variables"
        yield Check("connection", "failure", str(error), advice)
        return
    reached = True
    if address:
        for check in _network_checks(server, address, subject.timeout):
            reached = reached and check.status != "failure"
            yield check
    yield from _gateway_checks(subject, server, address, credential) if reached else _UNREACHABLE
    if is_loopback(server.target) or subject.pages:
        yield from machine.service_checks(subject.pages, subject.timeout)
    if is_loopback(server.target):
        yield machine.disk_check(subject.home)


_UNREACHABLE = (Check("gateway", "skipped", "not called: there is no connection to it"),)


def _connection_check(server: Gateway) -> Check:
    how = "TLS" if server.secured else "plaintext"
    return Check("connection", "ok", f"{server.target}, in {how}")


def _network_checks(server: Gateway, address: Address, timeout: float) -> Iterator[Check]:
    if proxy := network.proxy(address):
        detail = f"gRPC uses the proxy of {proxy}: the connection to it is not checked"
        yield Check("address", "skipped", detail)
        return
    try:
        addresses = network.resolve(address, timeout)
        network.connect(address, timeout)
    except OSError as error:
        detail = f"{address}: {network.reason(error)}"
        yield Check("address", "failure", detail, _REACH)
        return
    yield Check("address", "ok", f"{address} answers ({', '.join(addresses)})")
    unverified = network.handshake(address, timeout) if server.secured else None
    protocol = (
        "TLS"
        if unverified and unverified.certificate
        else network.detect_protocol(address, timeout)
    )
    yield _protocol_check(server.secured, protocol)
    if unverified and unverified.certificate:
        yield from certificates.server_checks(
            address, unverified, server.authorities, server.certificate, timeout
        )


_REACH = (
    "start the platform (make run), or set its address: --target or RAG_TARGET; "
    "between machines, check the firewalls"
)


def _protocol_check(secured: bool, protocol: network.Protocol) -> Check:
    if protocol == ("TLS" if secured else "plaintext HTTP/2"):
        return Check("protocol", "ok", f"{protocol} on both sides")
    expected = "TLS" if secured else "plaintext"
    detail = f"this client uses {expected}, and the server {protocol}"
    if secured and protocol == "plaintext HTTP/2":
        plain = "remove --ca, --cert and their variables, or call the port that serves TLS"
        return Check("protocol", "failure", detail, plain)
    if not secured and protocol == "TLS":
        authority = "set the file of the gateway's authorities: --ca or RAG_CA_FILE"
        return Check("protocol", "failure", detail, authority)
    return Check(
        "protocol", "failure", detail, "set the address of a gateway or its edge: --target"
    )


def _gateway_checks(
    subject: Subject, server: Gateway, address: Address | None, credential: Credential
) -> Iterator[Check]:
    with server.open() as channel:
        probe = gateway.GatewayProbe(channel, credential.token, subject.timeout)
        yield gateway.health_check(probe)
        if server.secured and address and not (server.server_name or network.proxy(address)):
            yield machine.edge_check(address, server.authorities, subject.timeout)
        identity, who = gateway.identity_check(probe)
        yield identity
        if who and credential.is_api_key:
            yield key_check(probe, who)
        yield gateway.clock_check(probe)
        if who is None:
            yield Check(
                "models", "skipped", "not requested: the gateway does not accept the caller"
            )
        else:
            yield from gateway.model_checks(probe, subject.version, who.scopes)
