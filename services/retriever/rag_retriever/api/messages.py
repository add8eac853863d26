"""Converts documents, chunks, passages and indexes to protobuf messages and back."""

from collections.abc import Mapping
from itertools import pairwise
from math import isfinite
from typing import Any

import numpy as np
from google.protobuf.struct_pb2 import Struct, Value

from rag.retriever.v1 import retriever_service_pb2 as pb
from rag.types.v1 import document_pb2, passage_pb2, vector_pb2
from rag_contract import errors
from rag_retriever.index.model import (
    Chunk,
    Document,
    DocumentKey,
    MetadataValue,
    Passage,
    SparseVector,
    VectorChunk,
)
from rag_retriever.index.ports import IndexInfo, IndexState
from rag_retriever.search.service import SearchHit, SearchResult

_STATES = {
    IndexState.READY: pb.INDEX_STATE_READY,
    IndexState.UNOPTIMIZED: pb.INDEX_STATE_UNOPTIMIZED,
    IndexState.OPTIMIZING: pb.INDEX_STATE_OPTIMIZING,
}


def document_key(request: Any) -> DocumentKey:
    """The key of the document that a request names. Raises InvalidArgument if a field is empty."""
    for field in ("tenant_id", "collection", "document_id"):
        if not getattr(request, field):
            raise errors.FieldInvalid.of(field, "is empty")
    return DocumentKey(request.tenant_id, request.collection, request.document_id)


def document_from(tenant: str, message: document_pb2.Document) -> Document:
    """The document to store. Raises InvalidArgument if its id, collection or version is empty."""
    for field in ("document_id", "collection", "version"):
        if not getattr(message, field):
            raise errors.FieldInvalid.of(f"document.{field}", "is empty")
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


def document_message(document: Document) -> document_pb2.Document:
    """The message of a stored document."""
    message = document_pb2.Document(
        document_id=document.key.document_id,
        collection=document.key.collection,
        title=document.title,
        uri=document.uri,
        media_type=document.media_type,
        version=document.version,
        passage_count=document.passage_count,
        character_count=document.character_count,
        metadata=_struct(document.metadata),
    )
    message.update_time.FromDatetime(document.updated)
    return message


def chunk_from(message: pb.TextChunk) -> Chunk:
    """The chunk of a message."""
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


def text_chunk_message(chunk: Chunk) -> pb.TextChunk:
    """The message of a chunk."""
    return pb.TextChunk(
        ordinal=chunk.ordinal,
        text=chunk.text,
        headings=chunk.headings,
        span=_span(chunk),
        page=chunk.page,
    )


def passage_message(passage: Passage) -> passage_pb2.Passage:
    """The message of a passage."""
    document, chunk = passage.document, passage.chunk
    return passage_pb2.Passage(
        passage_id=passage.passage_id,
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


def search_response(result: SearchResult) -> pb.SearchResponse:
    """The response to a search."""
    response = pb.SearchResponse(
        passages=[_scored(hit) for hit in result.hits], index_version=result.index_version
    )
    for stage, seconds in result.seconds.items():
        getattr(response.timings, stage).FromNanoseconds(int(seconds * 1e9))
    return response


def dense_from(message: vector_pb2.DenseVector, field: str = "dense") -> bytes:
    """The bytes of a dense vector. Raises InvalidArgument if it is empty or has a non-finite value."""
    if not message.data or len(message.data) % 4:
        raise errors.FieldInvalid.of(field, "must be a non-empty list of float32")
    if not np.isfinite(np.frombuffer(message.data, "<f4")).all():
        raise errors.FieldInvalid.of(field, "has a value that is not finite")
    return message.data


def sparse_from(message: vector_pb2.SparseVector, field: str = "sparse") -> SparseVector:
    """A sparse vector.

    Raises InvalidArgument if its indices and values differ in number, the indices do not ascend, or
    a value is not finite.
    """
    if len(message.indices) != len(message.values):
        raise errors.FieldInvalid.of(field, "must have one value for each index")
    if any(left >= right for left, right in pairwise(message.indices)):
        raise errors.FieldInvalid.of(field, "must have ascending indices")
    if not all(map(isfinite, message.values)):
        raise errors.FieldInvalid.of(field, "has a value that is not finite")
    return SparseVector(tuple(message.indices), tuple(message.values))


def vector_chunk_from(message: pb.VectorChunk) -> VectorChunk:
    """A chunk with its vectors. Raises InvalidArgument if a vector is invalid."""
    return VectorChunk(
        chunk_from(message.chunk),
        dense_from(message.dense, "chunks.dense"),
        sparse_from(message.sparse, "chunks.sparse"),
    )


def index_message(info: IndexInfo) -> pb.Index:
    """The message of an index."""
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


def _scored(hit: SearchHit) -> passage_pb2.ScoredPassage:
    evidence = passage_pb2.Evidence(
        score=hit.fused.score,
        dense_rank=hit.fused.dense_rank,
        dense_score=hit.fused.dense_score,
        sparse_rank=hit.fused.sparse_rank,
        sparse_score=hit.fused.sparse_score,
        matched_terms=hit.matched,
    )
    return passage_pb2.ScoredPassage(passage=passage_message(hit.passage), evidence=evidence)


def _span(chunk: Chunk) -> passage_pb2.TextSpan:
    return passage_pb2.TextSpan(
        start=chunk.start, end=chunk.end, start_byte=chunk.start_byte, end_byte=chunk.end_byte
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
            raise errors.FieldInvalid.of(
                f"document.metadata.{name}", "must be a string, a number, a boolean or a list"
            )


def _struct(metadata: Mapping[str, MetadataValue]) -> Struct | None:
    if not metadata:
        return None
    message = Struct()
    message.update(dict(metadata))
    return message
