"""The channel to a gateway: address, TLS and connection options."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import grpc

from rag_contract import hosts

DEFAULT_TARGET = "127.0.0.1:50051"
MAX_RECEIVE_BYTES = 16 * 1024 * 1024

Tls: TypeAlias = bool | str | Path | None


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """The client's certificate for mutual TLS: two PEM files, read when the channel is opened."""

    chain: Path
    key: Path

    def read(self) -> tuple[bytes, bytes]:
        """Key and chain. Raises OSError, and ValueError if the key does not match the certificate."""
        key, chain = self.key.read_bytes(), self.chain.read_bytes()
        try:
            # Without a password, OpenSSL would prompt for that of an encrypted key on the terminal.
            _context().load_cert_chain(self.chain, self.key, password=lambda: "")
        except ssl.SSLError as error:
            raise ValueError(
                f"{self.chain} and {self.key} are not a certificate and its key"
            ) from error
        return key, chain


@dataclass(frozen=True, slots=True)
class Gateway:
    """The address of a gateway, and how to connect to it.

    `tls` is True for the system's authorities, the path of a file of authorities (PEM), or False for
    plaintext. None means plaintext for a loopback address or a Unix socket without a client
    certificate, and the system's authorities otherwise. `server_name` is the name in the gateway's
    certificate if it is reached by another one. Opening raises OSError for a file that cannot
    be read, and ValueError for an invalid one.
    """

    target: str = DEFAULT_TARGET
    tls: Tls = None
    certificate: ClientCertificate | None = None
    server_name: str = ""

    @property
    def authorities(self) -> Path | None:
        """The file of authorities; None for the system's."""
        return None if isinstance(self.tls, bool | None) else Path(self.tls)

    def open(self) -> grpc.Channel:
        """A channel for blocking calls; it connects at the first call."""
        credentials = self._credentials()
        if credentials:
            return grpc.secure_channel(self.target, credentials, self._options())
        return grpc.insecure_channel(self.target, self._options())

    def open_async(self) -> grpc.aio.Channel:
        """A channel for the running event loop; it connects at the first call."""
        credentials = self._credentials()
        if credentials:
            return grpc.aio.secure_channel(self.target, credentials, self._options())
        return grpc.aio.insecure_channel(self.target, self._options())

    def _credentials(self) -> grpc.ChannelCredentials | None:
        if not self.secured:
            return None
        roots = _authorities(self.authorities) if self.authorities else None
        key, chain = self.certificate.read() if self.certificate else (None, None)
        return grpc.ssl_channel_credentials(roots, key, chain)

    @property
    def secured(self) -> bool:
        """Whether TLS is used. Raises ValueError for a client certificate with `tls=False`."""
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
            # gRPC's default for an unanswered ping is 60 s.
            ("grpc.http2.ping_timeout_ms", 10_000),
            # gRPC's default of 1 s is longer than all attempts of a call: none would connect anew.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 5_000),
            # gRPC's default of 30 s is longer than it takes to replace all replicas of a gateway.
            ("grpc.dns_min_time_between_resolutions_ms", 1_000),
            # Retries are those of calls.py only.
            ("grpc.service_config_disable_resolution", 1),
        ]
        if self.server_name and self.secured:
            options.append(("grpc.ssl_target_name_override", self.server_name))
        if is_loopback(self.target):
            options.append(("grpc.enable_http_proxy", 0))
        return options


def is_loopback(target: str) -> bool:
    """Whether a gRPC target is on this machine; names other than localhost are not resolved."""
    scheme, _, rest = target.rpartition("///") if "///" in target else target.partition(":")
    if scheme in ("unix", "unix:", "unix-abstract"):
        return True
    address = rest if scheme in ("dns:", "ipv4", "ipv6") else target
    host = address.rsplit(":", 1)[0].strip("[]")
    return hosts.is_loopback(host)


def _authorities(path: Path) -> bytes:
    roots = path.read_bytes()
    try:
        _context().load_verify_locations(path)
    except ssl.SSLError as error:
        raise ValueError(f"{path} holds no certificate") from error
    return roots


def _context() -> ssl.SSLContext:
    """A context to validate files with: gRPC reports an invalid one at the first call only, and vaguely."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
