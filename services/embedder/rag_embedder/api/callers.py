"""The services that may call each of the embedder's methods; other callers are rejected."""

from rag_common.security.peer_identity import only

# `operator` is a person at a shell; these methods return no tenant's data.
_GATEWAY = only("gateway", "operator")
_INGESTOR = only("ingestor", "operator")

_SERVICE = "/rag.embedder.v1.EmbedderService/"

CALLERS = {
    _SERVICE + "Embed": _GATEWAY,
    _SERVICE + "EmbedStream": _INGESTOR,
    _SERVICE + "Rerank": _GATEWAY,
    _SERVICE + "Tokenize": _GATEWAY,
    _SERVICE + "GetModelInfo": only("gateway", "ingestor", "operator"),
}
