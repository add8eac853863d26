"""The settings of the edge, with defaults for a development machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field

from rag_common.settings import read_toml

Address = tuple[str, int]
# The name of the gateways that are in no lane.
STABLE = "stable"
# The lanes of a release.
LANES = ("baseline", "canary")
# Of the keys of Envoy's runtime that hold the weights of the lanes.
RUNTIME_PREFIX = "lanes"
# For `read_toml`: unknown keys are invalid.
_NO_EXTRA = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Provider:
    """A token issuer and its JWKS: `keys` is a URL, or a path of the gateway's own HTTP pages."""

    __pydantic_config__: ClassVar[ConfigDict] = _NO_EXTRA

    name: str
    issuer: str
    audiences: Sequence[str]
    keys: str = "/.well-known/jwks.json"

    @property
    def own(self) -> bool:
        """Whether the gateway publishes the keys."""
        return self.keys.startswith("/")

    @property
    def secure(self) -> bool:
        """Whether the keys are read over TLS."""
        return self.keys.startswith("https:")

    @property
    def address(self) -> Address:
        """Host and port of the JWKS."""
        url = urlsplit(self.keys)
        return url.hostname or "", url.port or (443 if self.secure else 80)

    @property
    def jwks(self) -> str:
        """The complete URL of the JWKS."""
        return f"http://gateway{self.keys}" if self.own else self.keys


@dataclass(frozen=True, slots=True)
class Lane:
    """A second set of gateways, such as `canary`, and its share of the calls in percent."""

    __pydantic_config__: ClassVar[ConfigDict] = _NO_EXTRA

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,30}$")]
    gateways: Annotated[Sequence[str], Field(min_length=1)]
    weight: Annotated[int, Field(ge=0, le=100)] = 0

    @property
    def cluster(self) -> str:
        """The Envoy cluster of the lane's own gateways."""
        return f"gateway_{self.name}"

    @property
    def route(self) -> str:
        """The Envoy cluster that calls are routed to: the lane's gateways, or without one the stable ones."""
        return f"lane_{self.name}"


def runtime_key(lane: str) -> str:
    """The key of Envoy's runtime that overrides the weight of a lane, or of the stable gateways."""
    cluster = "gateway" if lane == STABLE else Lane(lane, ()).route
    return f"{RUNTIME_PREFIX}.{cluster}"


_OWN = Provider("platform", "rag-dev", ("rag",))


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    """The deployment-specific settings of the edge; deploy/envoy/README.md explains them."""

    __pydantic_config__: ClassVar[ConfigDict] = _NO_EXTRA

    host: str = "127.0.0.1"
    port: int = 8443
    node: str = "edge"
    region: str = ""
    # Folders: tls.crt and tls.key for clients; tls.crt, tls.key and ca.crt for the gateway.
    certificates: str = "/certificates"
    identity: str = "/identity"
    secrets: str = "/etc/envoy/secrets"
    descriptors: str = "/etc/envoy/rag.binpb"
    admin: str = "/run/envoy/admin.sock"
    access_log: str = "/dev/stdout"
    public_roots: str = "/etc/ssl/certs/ca-certificates.crt"
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0

    gateways: Sequence[str] = ("127.0.0.1:50051",)
    pages: Sequence[str] = ("127.0.0.1:50071",)
    limiters: Sequence[str] = ()
    lanes: Sequence[Lane] = ()
    lane_header: bool = False
    gateway_tls: bool = False
    gateway_name: str = "gateway"
    providers: Sequence[Provider] = (_OWN,)
    leeway: int = 30
    keys_age: str = "30s"
    origins: Sequence[str] = ()
    reflection: bool = False
    otlp: str = ""
    sampling: float = 100
    trusted_hops: int = 0

    connections: int = 10_000
    new_connections: int = 500
    streams: int = 100
    rapid_resets: int = 500
    connection_rate: int = 500
    listener_rate: int = 5000
    limiter_timeout: str = "0.1s"
    calls: int = 1024
    headers_kb: int = 24
    headers_count: int = 64
    json_bytes: int = 4 * 2**20
    message_bytes: int = 17 * 2**20
    reply_bytes: int = 16 * 2**20
    upload_bytes: int = 96 * 2**20
    discard_bytes: int = 96 * 2**20
    retry_bytes: int = 2**20
    heap_bytes: int = 512 * 2**20
    headers_timeout: str = "5s"
    idle_timeout: str = "300s"
    stream_idle_timeout: str = "60s"
    longest_call: str = "310s"
    health_interval: str = "1s"

    def __post_init__(self) -> None:
        """Raise ValueError if lanes have the same name, or more than all calls."""
        names = [one.name for one in self.lanes]
        if len({*names, STABLE}) <= len(names):
            raise ValueError(f"the names of the lanes must differ, and be other than {STABLE}")
        if self.stable_weight < 0:
            raise ValueError("the weights of the lanes are more than 100 together")

    @property
    def stable_weight(self) -> int:
        """The share of the calls, in percent, that no lane gets."""
        return 100 - sum(one.weight for one in self.lanes)

    @classmethod
    def load(cls, path: Path) -> "EdgeConfig":
        """Read a TOML file. Raises SettingsInvalid."""
        return read_toml(path, cls)
