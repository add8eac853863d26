"""The services that may call each of the embedder's methods; other callers are rejected."""

from rag_common.security.peer_identity import only

# `operator` is a person at a shell; these methods return no tenant's data.
_QUESTIONS = only("gateway", "operator")
_DOCUMENTS = only("ingestor", "operator")

_SERVICE = "/rag.embedder.v1.EmbedderService/"

CALLERS = {
    _SERVICE + "Embed": _QUESTIONS,
    _SERVICE + "EmbedStream": _DOCUMENTS,
    _SERVICE + "Rerank": _QUESTIONS,
    _SERVICE + "Tokenize": _QUESTIONS,
    _SERVICE + "GetModelInfo": only("gateway", "ingestor", "operator"),
}
