"""The services that may call each of the embedder's methods; other callers are rejected."""

from rag_common.security.peer_identity import only

# `operator` is a person at a shell; these methods return no tenant's data.
_OPERATOR = only("gateway", "operator")

_SERVICE = "/rag.embedder.v1.EmbedderService/"

CALLERS = {
    _SERVICE + "Embed": _OPERATOR,
    _SERVICE + "EmbedStream": _OPERATOR,
    _SERVICE + "Rerank": _OPERATOR,
    _SERVICE + "Tokenize": _OPERATOR,
    _SERVICE + "GetModelInfo": _OPERATOR,
}
