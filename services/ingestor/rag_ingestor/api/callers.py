"""Allowed callers of each of the ingestor's methods; all others are rejected."""

from rag_common.security.peer_identity import only

_GATEWAY = only("gateway")

_SERVICE = "/rag.ingestor.v1.IngestorService/"

CALLERS = {
    _SERVICE + "IngestDocument": _GATEWAY,
    _SERVICE + "GetDocument": _GATEWAY,
    _SERVICE + "ListDocuments": _GATEWAY,
    _SERVICE + "ListPassages": _GATEWAY,
    _SERVICE + "DeleteDocument": _GATEWAY,
    # Operators may see how a file of their own is read, but never a tenant's documents.
    _SERVICE + "SplitDocument": only("operator"),
    _SERVICE + "ListMediaTypes": only("gateway", "operator"),
}
