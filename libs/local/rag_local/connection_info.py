"""How to connect to the running platform: environment variables for `rag`, and grpcurl's flags."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

# For their types alone: the platform imports them if it has them.
if TYPE_CHECKING:
    from rag_local.backends.envoy import Edge
    from rag_local.dev_certificates import Operator


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """Environment variables for `rag`; address, flags and token for grpcurl in shell syntax.

    `page` is the base URL of the edge's HTTP API, empty without an edge.
    """

    settings: dict[str, str]
    target: str
    flags: str
    token: str
    page: str = ""

    def via_edge(self, edge: Edge) -> ConnectionInfo:
        """The same connection through the edge, which requires no client certificate."""
        target = f"localhost:{edge.port}"
        own = {k: v for k, v in self.settings.items() if k not in ("RAG_CERT_FILE", "RAG_KEY_FILE")}
        return replace(
            self,
            settings={**own, "RAG_TARGET": target, "RAG_CA_FILE": str(edge.ca.resolve())},
            target=target,
            flags=f"-cacert {edge.ca.resolve()}",
            page=f"https://{target}",
        )

    def with_traces(self, traces: str) -> ConnectionInfo:
        """The same with the URL from which `rag trace` reads traces."""
        return replace(self, settings={**self.settings, "RAG_TRACES_URL": traces})


def plaintext_connection(home: Path) -> ConnectionInfo:
    """A plaintext connection with tokens signed by the development key."""
    settings = {"RAG_HOME": str(home.resolve())}
    return ConnectionInfo(settings, "127.0.0.1:50051", "-plaintext", "$(rag token)")


def certificate_connection(operator: Operator) -> ConnectionInfo:
    """A TLS connection with the operator's certificate and token."""
    folder, target = operator.folder, "localhost:50051"
    flags = " ".join(
        [
            f"-cacert {folder / 'ca.crt'}",
            f"-cert {folder / 'tls.crt'}",
            f"-key {folder / 'tls.key'}",
        ]
    )
    return ConnectionInfo(operator.settings(target), target, flags, f"$(cat {operator.token})")
