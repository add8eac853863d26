"""The result of a check, and the address in a gateway's target."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from rag_contract.errors import AppError

Status: TypeAlias = Literal["ok", "warning", "failure", "skipped"]


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check, with advice unless it is ok.

    A check is `skipped` if it is impossible here, or after an earlier failure.
    """

    name: str
    status: Status
    detail: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """A host, without brackets, and a port; `server_name` is the name that its certificate must have."""

    host: str
    port: int
    server_name: str = ""

    @property
    def expected_name(self) -> str:
        """The name in the certificate: the host, unless another one is set."""
        return self.server_name or self.host

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_of(target: str) -> Address | None:
    """The address of a gRPC target; None for a Unix socket and for schemes other than dns and ip.

    Raises ValueError for a target without a port, for which gRPC would use 443.
    """
    rest = target
    for scheme in ("dns:///", "dns:", "ipv4:", "ipv6:"):
        if target.startswith(scheme):
            rest = target.removeprefix(scheme)
            break
    else:
        if target.startswith(("unix:", "unix-abstract:")) or "://" in target:
            return None
    # dns://AUTHORITY/host:port names a DNS server.
    rest = rest.rpartition("/")[2]
    host, _, port = rest.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError(f"{target!r} is not host:port")
    return Address(host.removeprefix("[").removesuffix("]"), int(port))


_RENEW = "get a new token, or a new key from an administrator: rag keys create"
_WAIT = "wait a moment and retry; if it persists, see the services' logs and rag top"

_ADVICE = {
    "TOKEN_MISSING": "set RAG_TOKEN to a token or an API key, or RAG_TOKEN_FILE to a file that holds one",
    "TOKEN_EXPIRED": f"{_RENEW}; if it should still be valid, check the clocks",
    "TOKEN_INVALID": f"{_RENEW}; it must be of an issuer that this platform trusts",
    "KEY_REVOKED": _RENEW,
    "SCOPE_MISSING": "ask an administrator for a credential with this scope",
    "COLLECTION_FORBIDDEN": "ask an administrator for a credential that allows the collection",
    "CALLER_FORBIDDEN": "use a client certificate that may call the gateway: --cert and --cert-key",
    "RATE_LIMITED": "wait, and see rag quota",
    "TOKEN_BUDGET": "wait, and see rag quota",
    "CONCURRENCY_LIMIT": _WAIT,
    "QUEUE_FULL": _WAIT,
    "DEPENDENCY_DOWN": _WAIT,
    "DEPENDENCY_REFUSED": "an operator has to fix the platform's key or settings for this service",
    "CONNECTION_INSECURE": "check the certificates: --ca, --cert and --cert-key",
    "METHOD_FORBIDDEN": "the platform's access policy allows this method to nobody",
    "UNSPECIFIED": "a proxy before the gateway refused the call without a reason: see its log",
    "OVERLOADED": _WAIT,
    "DRAINING": _WAIT,
    "BUDGET_EXHAUSTED": f"set a longer --timeout; {_WAIT}",
    "MODEL_LOADING": "wait until the embedder has loaded its model",
    "EMBEDDING_MISMATCH": "ingest the documents again, or configure the model that created the index",
    "METHOD_UNKNOWN": "the address is not a gateway of the platform, or has another version: see --target",
}


def advice(error: AppError) -> str:
    """Advice for an error."""
    return _ADVICE.get(error.reason, "see docs/errors.md, and the gateway's log by the trace id")
