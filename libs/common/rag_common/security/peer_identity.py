"""Identifies the calling service by its certificate, and authorizes the methods it may call."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from rag_contract import errors

# gRPC's auth context key of the SPIFFE ID in the peer's certificate.
_SPIFFE = "peer_spiffe_id"


class PeerContext(Protocol):
    """The part of a gRPC servicer context that holds the peer's certificate."""

    def auth_context(self) -> Mapping[str, Iterable[bytes]]: ...


class CallerPolicy:
    """Authorizes service-to-service calls: only the services in `allowed` may call a method.

    `allowed` maps full method names, or all methods of a service as `/full.Name/*`, to service names;
    a service's name is the path of its SPIFFE ID: `spiffe://<trust domain>/<name>`.
    """

    def __init__(self, trust_domain: str, allowed: Mapping[str, frozenset[str]]) -> None:
        self._prefix = f"spiffe://{trust_domain}/"
        self._allowed = dict(allowed)

    def check(self, method: str, context: PeerContext) -> None:
        """Raise CallerForbidden unless the peer may call the method."""
        name = self.name(context)
        service = method.rpartition("/")[0] + "/*"
        if name not in self._allowed.get(method, self._allowed.get(service, frozenset())):
            raise errors.CallerForbidden(
                "this service may not call this method", metadata={"caller": name or "unknown"}
            )

    def name(self, context: PeerContext) -> str:
        """The peer's name; empty for one of another trust domain, or without a SPIFFE ID."""
        ids = list(context.auth_context().get(_SPIFFE, ()))
        identity = ids[0].decode(errors="replace") if len(ids) == 1 else ""
        return identity.removeprefix(self._prefix) if identity.startswith(self._prefix) else ""


def only(*names: str) -> frozenset[str]:
    """The names of the services that may call, for CallerPolicy."""
    return frozenset(names)
