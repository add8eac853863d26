"""The channel to a gateway: where it is, how it is secured, and how it lives."""

import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import grpc

DEFAULT_TARGET = "127.0.0.1:50051"
MAX_RECEIVE_BYTES = 16 * 1024 * 1024

Tls: TypeAlias = bool | Path | None


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """Who the client is, for mutual TLS: two PEM files, read when the channel is opened."""

    chain: Path
    key: Path

    def read(self) -> tuple[bytes, bytes]:
        """Key and chain. Raises OSError, and ValueError where the one does not fit the other."""
        key, chain = self.key.read_bytes(), self.chain.read_bytes()
        try:
            # An encrypted key would be asked for on the terminal.
            _context().load_cert_chain(self.chain, self.key, password=lambda: "")
        except ssl.SSLError as error:
            raise ValueError(
                f"{self.chain} and {self.key} are no certificate and its key"
            ) from error
        return key, chain


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where the gateway is.

    `tls` is True for the system's authorities, a file of authorities (PEM), or False for plaintext;
    left out, only a loopback address or a Unix socket is spoken to in plaintext, and that only
    without a client certificate. Opening raises OSError for a file that cannot be read, and
    ValueError for one that does not hold what it should.
    """

    target: str = DEFAULT_TARGET
    tls: Tls = None
    certificate: ClientCertificate | None = None

    def open(self) -> grpc.Channel:
        """A channel for threads; nothing is sent before its first call."""
        credentials = self._credentials()
        if credentials:
            return grpc.secure_channel(self.target, credentials, self._options())
        return grpc.insecure_channel(self.target, self._options())

    def open_async(self) -> grpc.aio.Channel:
        """A channel that belongs to the running event loop."""
        credentials = self._credentials()
        if credentials:
            return grpc.aio.secure_channel(self.target, credentials, self._options())
        return grpc.aio.insecure_channel(self.target, self._options())

    def _credentials(self) -> grpc.ChannelCredentials | None:
        if not self._secured():
            return None
        roots = _authorities(self.tls) if isinstance(self.tls, Path) else None
        key, chain = self.certificate.read() if self.certificate else (None, None)
        return grpc.ssl_channel_credentials(roots, key, chain)

    def _secured(self) -> bool:
        if self.tls is None:
            return self.certificate is not None or not is_loopback(self.target)
        if self.certificate and not self.tls:
            raise ValueError("a client certificate needs TLS")
        return self.tls is not False

    def _options(self) -> list[tuple[str, str | int]]:
        options: list[tuple[str, str | int]] = [
            ("grpc.primary_user_agent", "rag-client"),
            ("grpc.lb_policy_name", "round_robin"),
            ("grpc.max_receive_message_length", MAX_RECEIVE_BYTES),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.max_reconnect_backoff_ms", 5_000),
            # Retries are made in calls.py and nowhere else.
            ("grpc.service_config_disable_resolution", 1),
        ]
        if is_loopback(self.target):
            options.append(("grpc.enable_http_proxy", 0))
        return options


def is_loopback(target: str) -> bool:
    """Whether a gRPC target is on this machine; a name other than localhost is not looked up."""
    scheme, _, rest = target.rpartition("///") if "///" in target else target.partition(":")
    if scheme in ("unix", "unix:", "unix-abstract"):
        return True
    address = rest if scheme in ("dns:", "ipv4", "ipv6") else target
    host = address.rsplit(":", 1)[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _authorities(path: Path) -> bytes:
    roots = path.read_bytes()
    try:
        _context().load_verify_locations(path)
    except ssl.SSLError as error:
        raise ValueError(f"{path} holds no certificate") from error
    return roots


def _context() -> ssl.SSLContext:
    """Not to connect with: it says of files at once what gRPC says at the first call, and less well."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
