"""Which services may call which of the generator's methods; nobody else gets in."""

from rag_common.rpc.callers import only

# A person at a shell, who is shown nothing of any tenant's here.
_OPERATOR = only("gateway", "operator")

_SERVICE = "/rag.generator.v1.GeneratorService/"

CALLERS = {
    _SERVICE + "Generate": _OPERATOR,
    _SERVICE + "StreamGenerate": _OPERATOR,
    _SERVICE + "CheckGrounding": _OPERATOR,
    _SERVICE + "ListModels": _OPERATOR,
}
