"""Requests as the core takes them: defaults filled in, texts in NFC, every part within its limits."""

from collections.abc import Sequence
from typing import Any
from unicodedata import normalize

from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct, Value

from rag.gateway.v1 import document_service_pb2 as documents
from rag.gateway.v1 import options_pb2 as pb
from rag.types.v1.passage_pb2 import Passage
from rag_common.messages import violation
from rag_gateway.ingestion import Spec
from rag_gateway.question import Generation, Retrieval, Support
from rag_gateway.requests import limits
from rag_gateway.requests.checks import Checks

DEFAULT_COLLECTION = "default"

_MODES = {
    pb.RETRIEVAL_MODE_UNSPECIFIED: (True, True),
    pb.RETRIEVAL_MODE_HYBRID: (True, True),
    pb.RETRIEVAL_MODE_DENSE: (True, False),
    pb.RETRIEVAL_MODE_SPARSE: (False, True),
}
_FUSIONS = {
    pb.FUSION_METHOD_UNSPECIFIED: "posterior",
    pb.FUSION_METHOD_POSTERIOR: "posterior",
    pb.FUSION_METHOD_RRF: "rrf",
    pb.FUSION_METHOD_DBSF: "dbsf",
}
_GROUNDING = {
    pb.GROUNDING_MODE_UNSPECIFIED: "refuse",
    pb.GROUNDING_MODE_REFUSE: "refuse",
    pb.GROUNDING_MODE_FLAG: "flag",
    pb.GROUNDING_MODE_OFF: "off",
}


def query(checks: Checks, value: str) -> str:
    """The query in NFC, without white space around it."""
    checks.hold(value, limits.QUERY, "query")
    return _nfc(value).strip()


def retrieval(checks: Checks, options: pb.RetrievalOptions, explain: bool) -> Retrieval:
    """Retrieval options with their defaults; candidates are never fewer than top_k."""
    checks.hold(options, limits.RETRIEVAL, "retrieval")
    top_k = options.top_k if options.HasField("top_k") else 10
    candidates = options.candidates if options.HasField("candidates") else max(50, top_k)
    if candidates < top_k:
        bounds = {"least": "top_k", "most": f"{limits.MOST_CANDIDATES:,}"}
        checks.note([violation("retrieval.candidates", "OUT_OF_RANGE", **bounds)])
    dense, sparse = _MODES.get(options.mode, (True, True))
    named = tuple(dict.fromkeys(options.collections))
    return Retrieval(
        collections=named,
        named=named,
        filter=options.filter if options.HasField("filter") else None,
        dense=dense,
        sparse=sparse,
        candidates=candidates,
        top_k=top_k,
        min_score=_optional(options, "min_score"),
        fusion=_FUSIONS.get(options.fusion, "posterior"),
        rerank=options.rerank,
        explain=explain,
    )


def generation(checks: Checks, options: pb.GenerationOptions) -> Generation:
    """Generation options."""
    checks.hold(options, limits.GENERATION, "generation")
    return Generation(
        model=options.model,
        max_output_tokens=_optional(options, "max_output_tokens"),
        temperature=_optional(options, "temperature"),
        seed=_optional(options, "seed"),
        language=options.language,
    )


def support(checks: Checks, options: pb.GroundingOptions) -> Support:
    """Grounding options."""
    checks.hold(options, limits.GROUNDING, "grounding")
    return Support(_GROUNDING.get(options.mode, "refuse"), _optional(options, "min_score"))


def passages(checks: Checks, given: Sequence[Passage]) -> list[Passage]:
    """Passages of the caller's own, in NFC; one without an id gets its position as one."""
    checks.hold(given, limits.PASSAGES, "passages")
    named: list[Passage] = []
    for i, passage in enumerate(given[: limits.MOST_PASSAGES]):
        copy = Passage()
        copy.CopyFrom(passage)
        copy.passage_id = passage.passage_id or f"given-{i + 1}"
        copy.title, copy.text = _nfc(passage.title), _nfc(passage.text)
        named.append(copy)
    if len({passage.passage_id for passage in named}) < len(named):
        checks.note([violation("passages", "DUPLICATE", what="passage_id")])
    return named


def collection(checks: Checks, name: str, field: str = "collection") -> str:
    """A collection's name; `default` where empty."""
    checks.hold(name, limits.COLLECTION_NAME, field)
    return name or DEFAULT_COLLECTION


def document_id(checks: Checks, value: str, field: str = "document_id") -> str:
    """A document's id, in NFC."""
    checks.hold(value, limits.DOCUMENT_NAME, field)
    return _nfc(value)


def page(checks: Checks, size: int, token: str = "") -> int:
    """A page's size, 100 where 0."""
    checks.hold(size, limits.PAGE_SIZE, "page_size")
    checks.hold(token, limits.PAGE_TOKEN, "page_token")
    return size or 100


def spec(checks: Checks, name: str, given: documents.DocumentSpec) -> Spec:
    """What the caller says of a document; its texts in NFC, for file systems of Macs give NFD."""
    checks.hold(given, limits.SPEC, "document")
    return Spec(
        collection=collection(checks, name),
        document_id=_nfc(given.document_id),
        title=_nfc(given.title).strip(),
        uri=given.uri,
        filename=_nfc(given.filename),
        media_type=given.media_type,
        metadata=_metadata(given.metadata),
    )


def _metadata(given: Struct) -> dict[str, Any]:
    return {key: _plain(value) for key, value in given.fields.items()}


def _plain(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "list_value":
            return [_plain(item) for item in value.list_value.values]
        case "string_value":
            return _nfc(value.string_value)
        case kind:
            return getattr(value, kind or "null_value")


def _optional(options: Message, name: str) -> Any:
    return getattr(options, name) if options.HasField(name) else None


def _nfc(text: str) -> str:
    return normalize("NFC", text)
