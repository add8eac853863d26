"""Translates request messages to the domain model: fills in defaults, and normalizes texts to NFC.

Limits are checked by RequestValidator.
"""

from collections.abc import Sequence
from typing import Any
from unicodedata import normalize

from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value

from rag.gateway.v1 import document_service_pb2 as documents
from rag.gateway.v1 import options_pb2 as pb
from rag.ingestor.v1.ingestor_service_pb2 import IngestHeader
from rag.types.v1.passage_pb2 import Passage
from rag_contract.error_messages import violation
from rag_gateway.answering.model import Generation, Retrieval, Support
from rag_gateway.api.validation import limits
from rag_gateway.api.validation.validator import RequestValidator

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


def query(value: str) -> str:
    """The query in NFC, without white space around it."""
    return _nfc(value).strip()


def retrieval(
    validator: RequestValidator, options: pb.RetrievalOptions, explain: bool
) -> Retrieval:
    """Retrieval options with their defaults; candidates are never fewer than top_k."""
    top_k = options.top_k if options.HasField("top_k") else 10
    candidates = options.candidates if options.HasField("candidates") else max(50, top_k)
    if candidates < top_k:
        bounds = {"min": "top_k", "max": f"{limits.MAX_CANDIDATES:,}"}
        validator.add([violation("retrieval.candidates", "OUT_OF_RANGE", **bounds)])
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


def generation(options: pb.GenerationOptions) -> Generation:
    """Generation options."""
    return Generation(
        model=options.model,
        max_output_tokens=_optional(options, "max_output_tokens"),
        temperature=_optional(options, "temperature"),
        seed=_optional(options, "seed"),
        language=options.language,
    )


def support(options: pb.GroundingOptions) -> Support:
    """Grounding options."""
    return Support(_GROUNDING.get(options.mode, "refuse"), _optional(options, "min_score"))


def passages(validator: RequestValidator, value: Sequence[Passage]) -> list[Passage]:
    """The caller's passages, in NFC; a passage without an id gets one from its position."""
    named: list[Passage] = []
    for i, passage in enumerate(value[: limits.MAX_PASSAGES]):
        copy = Passage()
        copy.CopyFrom(passage)
        copy.passage_id = passage.passage_id or f"given-{i + 1}"
        copy.title, copy.text = _nfc(passage.title), _nfc(passage.text)
        named.append(copy)
    if len({passage.passage_id for passage in named}) < len(named):
        validator.add([violation("passages", "DUPLICATE", what="passage_id")])
    return named


def collection(name: str) -> str:
    """A collection's name; `default` if it is empty."""
    return name or DEFAULT_COLLECTION


def document_id(value: str) -> str:
    """A document's id, in NFC."""
    return _nfc(value)


def page(size: int) -> int:
    """A page's size; 100 if it is 0."""
    return size or 100


def ingest_header(name: str, value: documents.DocumentSpec) -> IngestHeader:
    """The description of a document, with texts in NFC, as macOS file names are in NFD; without its tenant."""
    header = IngestHeader(
        collection=collection(name),
        document_id=_nfc(value.document_id),
        title=_nfc(value.title).strip(),
        uri=value.uri,
        filename=_nfc(value.filename),
        media_type=value.media_type,
    )
    for key, item in value.metadata.fields.items():
        _copy_in_nfc(header.metadata.fields[key], item)
    return header


def _copy_in_nfc(target: Value, source: Value) -> None:
    match source.WhichOneof("kind"):
        case "list_value":
            target.list_value.SetInParent()
            for item in source.list_value.values:
                _copy_in_nfc(target.list_value.values.add(), item)
        case "string_value":
            target.string_value = _nfc(source.string_value)
        case _:
            target.CopyFrom(source)


def _optional(options: Message, name: str) -> Any:
    return getattr(options, name) if options.HasField(name) else None


def _nfc(text: str) -> str:
    return normalize("NFC", text)
