"""Allowed callers of each of the retriever's methods; all others are rejected."""

from rag_common.security.peer_identity import only

_GATEWAY = only("gateway")
# Operators may manage indexes but never read their content.
_OPERATOR = only("gateway", "operator")

_SERVICE = "/rag.retriever.v1.RetrieverService/"

CALLERS = {
    _SERVICE + "Search": _GATEWAY,
    _SERVICE + "SplitDocument": _GATEWAY,
    _SERVICE + "UpsertChunks": _GATEWAY,
    _SERVICE + "DeleteChunks": _GATEWAY,
    _SERVICE + "Count": _GATEWAY,
    _SERVICE + "GetDocument": _GATEWAY,
    _SERVICE + "ListDocuments": _GATEWAY,
    _SERVICE + "ListChunks": _GATEWAY,
    _SERVICE + "ListMediaTypes": _OPERATOR,
    _SERVICE + "CreateIndex": _OPERATOR,
    _SERVICE + "GetIndex": _OPERATOR,
    _SERVICE + "ListIndexes": _OPERATOR,
    _SERVICE + "OptimizeIndex": _OPERATOR,
    _SERVICE + "SwitchAlias": _OPERATOR,
    _SERVICE + "DeleteIndex": _OPERATOR,
}
