"""Which services may call which of the embedder's methods; nobody else gets in."""

from rag_common.rpc.callers import only

# A person at a shell, who is shown nothing of any tenant's here.
_OPERATOR = only("gateway", "operator")

_SERVICE = "/rag.embedder.v1.EmbedderService/"

CALLERS = {
    _SERVICE + "Embed": _OPERATOR,
    _SERVICE + "EmbedStream": _OPERATOR,
    _SERVICE + "Rerank": _OPERATOR,
    _SERVICE + "Tokenize": _OPERATOR,
    _SERVICE + "GetModelInfo": _OPERATOR,
}
