"""How the running platform is reached: what `rag` reads from its environment, and grpcurl's flags."""

from dataclasses import dataclass, replace
from pathlib import Path

from rag_local.edge import Edge
from rag_local.identities import Operator


@dataclass(frozen=True, slots=True)
class Access:
    """Variables for `rag`; address, flags and token for grpcurl, as they are typed at a shell."""

    settings: dict[str, str]
    target: str
    flags: str
    token: str
    page: str = ""

    def through(self, edge: Edge) -> "Access":
        """The same by way of the edge, which wants no certificate of its callers."""
        target = f"localhost:{edge.port}"
        own = {k: v for k, v in self.settings.items() if k not in ("RAG_CERT_FILE", "RAG_KEY_FILE")}
        return replace(
            self,
            settings={**own, "RAG_TARGET": target, "RAG_CA_FILE": str(edge.ca.resolve())},
            target=target,
            flags=f"-cacert {edge.ca.resolve()}",
            page=f"https://{target}",
        )

    def reading(self, traces: str) -> "Access":
        """The same, and `rag trace` reads traces at this URL."""
        return replace(self, settings={**self.settings, "RAG_TRACES_URL": traces})


def plain(home: Path) -> Access:
    """In plaintext, with tokens signed by the development key."""
    settings = {"RAG_HOME": str(home.resolve())}
    return Access(settings, "127.0.0.1:50051", "-plaintext", "$(rag token)")


def by_certificate(person: Operator) -> Access:
    """With the certificate and the token of a person."""
    folder, target = person.folder, "localhost:50051"
    flags = " ".join(
        [
            f"-cacert {folder / 'ca.crt'}",
            f"-cert {folder / 'tls.crt'}",
            f"-key {folder / 'tls.key'}",
        ]
    )
    return Access(person.settings(target), target, flags, f"$(cat {person.token})")
