"""Opens a service's ports: channel options, credentials, and a refusal of plaintext beyond loopback."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc

from rag_common.grpc.call import Authenticate, CallLimiter
from rag_common.security.certificates import Certificates
from rag_common.security.peer_identity import CallerPolicy
from rag_common.security.tls import server_credentials
from rag_common.settings import ServiceSettings, SettingsInvalid
from rag_contract.hosts import is_loopback

# How much gRPC buffers of a stream before the service reads it. gRPC's own value grows while a
# service is busy, to tens of megabytes for each upload.
_LOOKAHEAD_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class ServerSecurity:
    """How a server authenticates its callers and limits their calls.

    `authenticate` checks the user's credential; None accepts calls without one. `certificates` enable
    mutual TLS; None is plaintext. `callers` maps methods to the services that may call them (see
    CallerPolicy). `unauthenticated` names services whose callers are platform services that carry no
    credential but their certificate. `limiter` enforces the rate limits of authenticated callers.
    """

    authenticate: Authenticate | None = None
    certificates: Certificates | None = None
    callers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unauthenticated: frozenset[str] = frozenset()
    limiter: CallLimiter | None = None
    # Max bytes of a request message, by full method; other methods have the server's own limit.
    sizes: Mapping[str, int] = field(default_factory=dict)

    def caller_policy(self, trust_domain: str) -> CallerPolicy | None:
        """Which services may call which methods; None in plaintext, where callers are anonymous."""
        return CallerPolicy(trust_domain, self.callers) if self.certificates else None


def require_privacy(settings: ServiceSettings, security: ServerSecurity) -> None:
    """Raise SettingsInvalid if other machines could call in plaintext and PLAINTEXT is not set."""
    if security.certificates or settings.plaintext or is_loopback(settings.host):
        return
    prefix = settings.model_config["env_prefix"]
    raise SettingsInvalid(
        f"{prefix}HOST {settings.host} is reachable from other machines and {prefix}TLS is off: set "
        f"{prefix}TLS to files or vault, or {prefix}PLAINTEXT to true if a mesh encrypts"
    )


def options(settings: ServiceSettings, security: ServerSecurity) -> list[tuple[str, int]]:
    """The channel arguments of the API's server."""
    # gRPC refuses messages that are larger than any method accepts before receiving them.
    largest = max(security.sizes.values(), default=settings.max_message_bytes)
    return [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", min(largest, settings.max_message_bytes)),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.max_connection_age_ms", round(settings.max_connection_age * 1000)),
        ("grpc.max_connection_age_grace_ms", round(settings.max_deadline * 1000)),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", _LOOKAHEAD_BYTES),
    ]


def listen(
    server: "grpc.aio.Server | grpc.Server",
    host: str,
    port: int,
    certificates: Certificates | None = None,
) -> int:
    """Open a port, in plaintext without certificates, and return its number.

    Raises OSError if it is in use.
    """
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    credentials = server_credentials(certificates) if certificates else None
    try:
        if credentials:
            return server.add_secure_port(address, credentials)
        return server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"port {port} of {host} is in use or may not be opened") from error
