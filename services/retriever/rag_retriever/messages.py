"""Documents, chunks, passages and indexes as protobuf messages, and back."""

from collections.abc import Mapping
from itertools import pairwise
from math import isfinite
from typing import Any

import numpy as np
from google.protobuf.struct_pb2 import Struct, Value

from rag.retriever.v1 import retriever_service_pb2 as pb
from rag.types.v1 import document_pb2, passage_pb2, vector_pb2
from rag_common import errors
from rag_retriever.chunking import Chunk
from rag_retriever.core import Found, Hit
from rag_retriever.passages import (
    Document,
    DocumentKey,
    MetadataValue,
    Passage,
    SparseVector,
    VectorChunk,
)
from rag_retriever.ports import IndexInfo, IndexState

_STATES = {
    IndexState.READY: pb.INDEX_STATE_READY,
    IndexState.UNOPTIMIZED: pb.INDEX_STATE_UNOPTIMIZED,
    IndexState.OPTIMIZING: pb.INDEX_STATE_OPTIMIZING,
}


def key(request: Any) -> DocumentKey:
    """The document that a request names. Raises InvalidArgument where a part is missing."""
    for field in ("tenant_id", "collection", "document_id"):
        if not getattr(request, field):
            raise errors.InvalidArgument.of(field, "is empty")
    return DocumentKey(request.tenant_id, request.collection, request.document_id)


def document(tenant: str, message: document_pb2.Document) -> Document:
    """A document to store. Raises InvalidArgument where its id, collection or version is missing."""
    for field in ("document_id", "collection", "version"):
        if not getattr(message, field):
            raise errors.InvalidArgument.of(f"document.{field}", "is empty")
    return Document(
        key=DocumentKey(tenant, message.collection, message.document_id),
        version=message.version,
        title=message.title,
        uri=message.uri,
        media_type=message.media_type,
        metadata=_metadata(message.metadata),
        passage_count=message.passage_count,
        character_count=message.character_count,
        updated=message.update_time.ToDatetime(),
    )


def document_message(found: Document) -> document_pb2.Document:
    """A document as it is shown."""
    message = document_pb2.Document(
        document_id=found.key.document_id,
        collection=found.key.collection,
        title=found.title,
        uri=found.uri,
        media_type=found.media_type,
        version=found.version,
        passage_count=found.passage_count,
        character_count=found.character_count,
        metadata=_struct(found.metadata),
    )
    message.update_time.FromDatetime(found.updated)
    return message


def chunk(message: pb.TextChunk) -> Chunk:
    """A chunk to store."""
    span = message.span
    return Chunk(
        ordinal=message.ordinal,
        text=message.text,
        start=span.start,
        end=span.end,
        start_byte=span.start_byte,
        end_byte=span.end_byte,
        headings=tuple(message.headings),
        page=message.page if message.HasField("page") else None,
    )


def text_chunk(found: Chunk) -> pb.TextChunk:
    """A chunk as it is shown."""
    return pb.TextChunk(
        ordinal=found.ordinal,
        text=found.text,
        headings=found.headings,
        span=_span(found),
        page=found.page,
    )


def passage(found: Passage) -> passage_pb2.Passage:
    """A passage as it is shown."""
    document, chunk = found.document, found.chunk
    return passage_pb2.Passage(
        passage_id=found.id,
        document_id=document.key.document_id,
        collection=document.key.collection,
        title=document.title,
        text=chunk.text,
        headings=chunk.headings,
        span=_span(chunk),
        page=chunk.page,
        ordinal=chunk.ordinal,
        uri=document.uri,
        version=document.version,
        metadata=_struct(document.metadata),
    )


def found(result: Found) -> pb.SearchResponse:
    """The reply to a search."""
    response = pb.SearchResponse(
        passages=[_scored(hit) for hit in result.hits], index_version=result.index_version
    )
    for stage, seconds in result.seconds.items():
        getattr(response.timings, stage).FromNanoseconds(int(seconds * 1e9))
    return response


def dense(message: vector_pb2.DenseVector, field: str = "dense") -> bytes:
    """A dense vector. Raises InvalidArgument where it is empty or holds what is no number."""
    if not message.data or len(message.data) % 4:
        raise errors.InvalidArgument.of(field, "is not a list of float32")
    if not np.isfinite(np.frombuffer(message.data, "<f4")).all():
        raise errors.InvalidArgument.of(field, "holds what is no number")
    return message.data


def sparse(message: vector_pb2.SparseVector, field: str = "sparse") -> SparseVector:
    """A sparse vector. Raises InvalidArgument where its two halves are not what they must be."""
    if len(message.indices) != len(message.values):
        raise errors.InvalidArgument.of(field, "has not one value for each index")
    if any(left >= right for left, right in pairwise(message.indices)):
        raise errors.InvalidArgument.of(field, "has indices that do not ascend")
    if not all(map(isfinite, message.values)):
        raise errors.InvalidArgument.of(field, "holds what is no number")
    return SparseVector(tuple(message.indices), tuple(message.values))


def vector_chunk(message: pb.VectorChunk) -> VectorChunk:
    """A chunk to store, with its vectors. Raises InvalidArgument."""
    return VectorChunk(
        chunk(message.chunk),
        dense(message.dense, "chunks.dense"),
        sparse(message.sparse, "chunks.sparse"),
    )


def index(info: IndexInfo) -> pb.Index:
    """An index as it is shown."""
    message = pb.Index(
        name=info.spec.name,
        dimensions=info.spec.dimensions,
        fingerprint=info.spec.fingerprint,
        points=info.points,
        state=_STATES[info.state],
        is_default=info.is_default,
        engine=info.engine,
    )
    message.create_time.FromDatetime(info.created)
    return message


def _scored(hit: Hit) -> passage_pb2.ScoredPassage:
    evidence = passage_pb2.Evidence(
        score=hit.fused.score,
        dense_rank=hit.fused.dense_rank,
        dense_score=hit.fused.dense_score,
        sparse_rank=hit.fused.sparse_rank,
        sparse_score=hit.fused.sparse_score,
        matched_terms=hit.matched,
    )
    return passage_pb2.ScoredPassage(passage=passage(hit.passage), evidence=evidence)


def _span(found: Chunk) -> passage_pb2.TextSpan:
    return passage_pb2.TextSpan(
        start=found.start, end=found.end, start_byte=found.start_byte, end_byte=found.end_byte
    )


def _metadata(message: Struct) -> dict[str, MetadataValue]:
    return {name: _value(name, value) for name, value in message.fields.items()}


def _value(name: str, value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "string_value" | "number_value" | "bool_value" as kind:
            return getattr(value, kind)
        case "list_value":
            return list(value.list_value)
        case _:
            raise errors.InvalidArgument.of(
                f"document.metadata.{name}", "must be a text, a number, a truth value or a list"
            )


def _struct(metadata: Mapping[str, MetadataValue]) -> Struct | None:
    if not metadata:
        return None
    message = Struct()
    message.update(dict(metadata))
    return message
