"""Checks of an address: name resolution, connection, and its protocol, TLS or HTTP/2 in plaintext."""

import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Literal, TypeAlias
from urllib.request import proxy_bypass

from rag_cli.diagnosis.checks import Address
from rag_client.transport.channel import ClientCertificate, is_loopback

Protocol: TypeAlias = Literal["TLS", "plaintext HTTP/2", "HTTP/1", "an unknown protocol"]

# A connection's preface (RFC 9113, 3.4) with an empty SETTINGS frame; the answer is a SETTINGS frame.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_FRAME_HEADER = 9
_SETTINGS = 4
# In gRPC's order.
_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")
_TLS_ALERT = b"\x15\x03"


@dataclass(frozen=True, slots=True)
class Handshake:
    """The result of a TLS handshake: the server's certificate (DER), None if it sent none.

    `error` is OpenSSL's message about the certificate or the handshake; empty on success.
    """

    certificate: bytes | None
    error: str


def proxy(address: Address) -> str:
    """The environment variable of the proxy that gRPC uses for this address; empty if there is none."""
    loopback = is_loopback(str(address))
    if loopback or proxy_bypass(address.host):
        return ""
    return next((name for name in _PROXIES if os.environ.get(name)), "")


def resolve(address: Address, timeout: float) -> list[str]:
    """The IP addresses of the host. Raises OSError, and TimeoutError after `timeout` seconds."""
    results: SimpleQueue[Any] = SimpleQueue()

    def lookup() -> None:
        try:
            results.put(socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM))
        except OSError as error:
            results.put(error)

    # The system's resolver has no timeout: after ours, the thread is abandoned.
    threading.Thread(target=lookup, daemon=True).start()
    try:
        result = results.get(timeout=timeout)
    except Empty:
        raise TimeoutError(f"{address.host} was not resolved within {timeout:g} s") from None
    if isinstance(result, OSError):
        raise result
    return list(dict.fromkeys(str(entry[4][0]) for entry in result))


def connect(address: Address, timeout: float) -> None:
    """Connect and close. Raises OSError, including TimeoutError, if nothing accepts the connection."""
    with _connection(address, timeout):
        pass


def detect_protocol(address: Address, timeout: float) -> Protocol:
    """The protocol of the server at this address."""
    reply = _plaintext_reply(address, timeout)
    if len(reply) >= _FRAME_HEADER and reply[3] == _SETTINGS:
        return "plaintext HTTP/2"
    if reply.startswith(b"HTTP/1"):
        return "HTTP/1"
    if reply.startswith(_TLS_ALERT) or handshake(address, timeout).certificate:
        return "TLS"
    return "an unknown protocol"


def handshake(address: Address, timeout: float) -> Handshake:
    """A TLS handshake without verification, to read the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _handshake(address, context, timeout)


def verified_handshake(
    address: Address,
    authorities: Path | None,
    certificate: ClientCertificate | None,
    timeout: float,
) -> Handshake:
    """A verified TLS handshake, up to the server's first bytes after it.

    In TLS 1.3 a server rejects the client's certificate only after the handshake.
    """
    context = ssl.create_default_context(cafile=authorities)
    if certificate:
        context.load_cert_chain(certificate.chain, certificate.key, password=lambda: "")
    return _handshake(address, context, timeout, exchange=True)


def _handshake(
    address: Address, context: ssl.SSLContext, timeout: float, *, exchange: bool = False
) -> Handshake:
    context.set_alpn_protocols(["h2"])
    presented: bytes | None = None
    try:
        with (
            _connection(address, timeout) as plain,
            context.wrap_socket(plain, server_hostname=address.expected_name) as secured,
        ):
            presented = secured.getpeercert(binary_form=True)
            if exchange:
                secured.sendall(_PREFACE)
                if not secured.recv(_FRAME_HEADER):
                    return Handshake(presented, "the connection was closed after the handshake")
    except ssl.SSLCertVerificationError as error:
        return Handshake(presented, error.verify_message)
    except ssl.SSLError as error:
        return Handshake(presented, (error.reason or str(error)).replace("_", " ").lower())
    except OSError as error:
        return Handshake(presented, reason(error))
    return Handshake(presented, "")


def reason(error: OSError) -> str:
    """The reason of a network error, in the operating system's words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return error.strerror or "unknown host name"
    return os.strerror(error.errno) if error.errno else str(error)


def _plaintext_reply(address: Address, timeout: float) -> bytes:
    try:
        with _connection(address, timeout) as plain:
            plain.sendall(_PREFACE)
            reply, end = b"", time.monotonic() + timeout
            while len(reply) < _FRAME_HEADER and time.monotonic() < end:
                part = plain.recv(_FRAME_HEADER)
                if not part:
                    break
                reply += part
            return reply
    except OSError:
        return b""


@contextmanager
def _connection(address: Address, timeout: float) -> Iterator[socket.socket]:
    with socket.create_connection((address.host, address.port), timeout=timeout) as connection:
        yield connection
