"""The services that may call each of the generator's methods; other callers are rejected."""

from rag_common.security.peer_identity import only

# `operator` is a person at a shell; these methods return no tenant's stored data.
_OPERATOR = only("gateway", "operator")

_SERVICE = "/rag.generator.v1.GeneratorService/"

CALLERS = {
    _SERVICE + "Generate": _OPERATOR,
    _SERVICE + "StreamGenerate": _OPERATOR,
    _SERVICE + "CheckGrounding": _OPERATOR,
    _SERVICE + "ListModels": _OPERATOR,
}
