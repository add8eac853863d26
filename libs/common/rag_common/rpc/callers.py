"""Which service is at the other end of a connection, and which methods it may call."""

from collections.abc import Mapping

from rag_common import errors
from rag_common.rpc.types import Context

# What gRPC found in the certificate that the other side showed.
_SPIFFE = "peer_spiffe_id"


class Callers:
    """Lets a method be called by the services that `allowed` names for it, and by nobody else.

    `allowed` maps full methods, or all of a service by `/full.Name/*`, to service names; a service's
    name is the path of its SPIFFE ID: `spiffe://<trust domain>/<name>`.
    """

    def __init__(self, trust_domain: str, allowed: Mapping[str, frozenset[str]]) -> None:
        self._prefix = f"spiffe://{trust_domain}/"
        self._allowed = dict(allowed)

    def check(self, method: str, context: Context) -> None:
        """Return where the peer may call the method. Raises CallerForbidden."""
        name = self.name(context)
        service = method.rpartition("/")[0] + "/*"
        if name not in self._allowed.get(method, self._allowed.get(service, frozenset())):
            raise errors.CallerForbidden(
                "this service may not call this method", metadata={"caller": name or "unknown"}
            )

    def name(self, context: Context) -> str:
        """The peer's name; empty for one of another trust domain, or without a SPIFFE ID."""
        found = list(context.auth_context().get(_SPIFFE, ()))
        identity = found[0].decode(errors="replace") if len(found) == 1 else ""
        return identity.removeprefix(self._prefix) if identity.startswith(self._prefix) else ""


def only(*names: str) -> frozenset[str]:
    """The services that may call."""
    return frozenset(names)
