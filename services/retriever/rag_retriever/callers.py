"""Which services may call which of the retriever's methods; nobody else gets in."""

from rag_common.rpc.callers import only

_GATEWAY = only("gateway")
# A person at a shell, who is shown indexes and never what is in them.
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
    _SERVICE + "CreateIndex": _OPERATOR,
    _SERVICE + "GetIndex": _OPERATOR,
    _SERVICE + "ListIndexes": _OPERATOR,
    _SERVICE + "OptimizeIndex": _OPERATOR,
    _SERVICE + "SwitchAlias": _OPERATOR,
    _SERVICE + "DeleteIndex": _OPERATOR,
}
