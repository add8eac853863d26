"""How a service's ports are opened: options, credentials, and no plaintext where others could listen."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc

from rag_common.certificates import Certificates
from rag_common.rpc.callers import Callers
from rag_common.rpc.served import Allow, Authenticate
from rag_common.rpc.tls import server_credentials
from rag_common.settings import ServiceSettings, SettingsInvalid, is_loopback


@dataclass(frozen=True, slots=True)
class Guard:
    """Who gets in: how a caller is known, and with certificates which services may call what.

    `callers` is as Callers wants it. `unauthenticated` names services whose caller is another part
    of the platform and carries no credential but its certificate. `allow` is what a known caller may
    use: each of its calls is served inside of what it gives.
    """

    authenticate: Authenticate | None = None
    certificates: Certificates | None = None
    callers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unauthenticated: frozenset[str] = frozenset()
    allow: Allow | None = None
    # Most bytes of a message, by full method; the server's own limit where there is none.
    sizes: Mapping[str, int] = field(default_factory=dict)

    def policy(self, trust_domain: str) -> Callers | None:
        """The rule of who may call; none in plaintext, where nobody can be known."""
        return Callers(trust_domain, self.callers) if self.certificates else None


def require_privacy(settings: ServiceSettings, guard: Guard) -> None:
    """Raise SettingsInvalid where calls would come in plaintext from other machines, unasked for."""
    if guard.certificates or settings.plaintext or is_loopback(settings.host):
        return
    prefix = settings.model_config["env_prefix"]
    raise SettingsInvalid(
        f"{prefix}HOST {settings.host} is open to other machines and {prefix}TLS is off: set "
        f"{prefix}TLS to files or vault, or {prefix}PLAINTEXT to true where a mesh encrypts"
    )


def listen(server: grpc.aio.Server, settings: ServiceSettings, guard: Guard) -> int:
    """Open the port of the API; gives its number. Raises OSError where it is taken."""
    if guard.certificates:
        credentials = server_credentials(guard.certificates)
        return _open(server, settings.host, settings.port, credentials)
    return _open(server, settings.host, settings.port, None)


def listen_plain(server: grpc.Server, host: str, port: int) -> int:
    """Open the port of health; gives its number. Raises OSError where it is taken."""
    return _open(server, host, port, None)


def options(settings: ServiceSettings, guard: Guard) -> list[tuple[str, int]]:
    """The channel arguments of the API's server."""
    # What is larger than any method takes is not even received.
    largest = max(guard.sizes.values(), default=settings.max_message_bytes)
    return [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", min(largest, settings.max_message_bytes)),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.max_connection_age_ms", round(settings.max_connection_age * 1000)),
        ("grpc.max_connection_age_grace_ms", round(settings.max_deadline * 1000)),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]


def _open(
    server: "grpc.aio.Server | grpc.Server",
    host: str,
    port: int,
    credentials: grpc.ServerCredentials | None,
) -> int:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        if credentials:
            return server.add_secure_port(address, credentials)
        return server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"port {port} of {host} is taken or not ours to open") from error
