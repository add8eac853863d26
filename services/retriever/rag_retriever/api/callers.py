"""Allowed callers of each of the retriever's methods; all others are rejected."""

from rag_common.security.peer_identity import only

_GATEWAY = only("gateway")
_INGESTOR = only("ingestor")
# Operators may manage indexes but never read their content.
_OPERATOR = only("gateway", "operator")

_SERVICE = "/rag.retriever.v1.RetrieverService/"

CALLERS = {
    _SERVICE + "Search": _GATEWAY,
    _SERVICE + "UpsertChunks": _INGESTOR,
    _SERVICE + "DeleteChunks": _INGESTOR,
    _SERVICE + "Count": _INGESTOR,
    _SERVICE + "GetDocument": _INGESTOR,
    _SERVICE + "ListDocuments": _INGESTOR,
    _SERVICE + "ListChunks": _INGESTOR,
    _SERVICE + "CreateIndex": _OPERATOR,
    _SERVICE + "GetIndex": _OPERATOR,
    _SERVICE + "ListIndexes": _OPERATOR,
    _SERVICE + "OptimizeIndex": _OPERATOR,
    _SERVICE + "SwitchAlias": _OPERATOR,
    _SERVICE + "DeleteIndex": _OPERATOR,
}
