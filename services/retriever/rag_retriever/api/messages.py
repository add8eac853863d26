"""Converts documents, chunks, passages and indexes to protobuf messages and back."""

import struct
from collections.abc import Mapping
from itertools import pairwise
from math import isfinite
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

from rag.retriever.v1 import retriever_service_pb2 as pb
from rag.types.v1 import document_pb2, passage_pb2, vector_pb2
from rag_contract import errors
from rag_contract.durations import set_seconds
from rag_retriever.index.model import (
    Chunk,
    Document,
    DocumentKey,
    Location,
    MetadataValue,
    Passage,
    ReadingWarning,
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
        warnings=tuple(
            ReadingWarning(one.reason, one.description, one.description_ko, tuple(one.pages))
            for one in message.warnings
        ),
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
    for one in document.warnings:
        message.warnings.add(
            reason=one.reason,
            description=one.description,
            description_ko=one.description_ko,
            pages=one.pages,
        )
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
        location=_location(message.location) if message.HasField("location") else None,
    )


def _location(message: passage_pb2.Location) -> Location:
    return Location(message.sheet, message.first_row, message.last_row, message.attachment)


def passage_message(passage: Passage) -> passage_pb2.Passage:
    """The message of a passage."""
    message = passage_pb2.Passage()
    _write_passage(message, passage)
    return message


def search_response(result: SearchResult) -> pb.SearchResponse:
    """The response to a search."""
    response = pb.SearchResponse(index_version=result.index_version)
    for hit in result.hits:
        scored = response.passages.add()
        _write_passage(scored.passage, hit.passage)
        _write_evidence(scored.evidence, hit)
    for stage, seconds in result.seconds.items():
        set_seconds(getattr(response.timings, stage), seconds)
    return response


def dense_from(message: vector_pb2.DenseVector, field: str = "dense") -> bytes:
    """The bytes of a dense vector. Raises InvalidArgument if it is empty or has a non-finite value."""
    if not message.data or len(message.data) % 4:
        raise errors.FieldInvalid.of(field, "must be a non-empty list of float32")
    # The sum of float32 values cannot overflow: it is finite if and only if all of them are.
    if not isfinite(sum(struct.unpack(f"<{len(message.data) // 4}f", message.data))):
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


def _write_passage(message: passage_pb2.Passage, passage: Passage) -> None:
    """Field by field in place: messages that are built and then copied take four times as long."""
    document, chunk = passage.document, passage.chunk
    message.passage_id = passage.passage_id
    message.document_id = document.key.document_id
    message.collection = document.key.collection
    message.title = document.title
    message.text = chunk.text
    message.headings.extend(chunk.headings)
    span = message.span
    span.start, span.end = chunk.start, chunk.end
    span.start_byte, span.end_byte = chunk.start_byte, chunk.end_byte
    if chunk.page is not None:
        message.page = chunk.page
    if chunk.location:
        place = message.location
        place.sheet, place.attachment = chunk.location.sheet, chunk.location.attachment
        place.first_row, place.last_row = chunk.location.first_row, chunk.location.last_row
    message.ordinal = chunk.ordinal
    message.uri = document.uri
    message.version = document.version
    if document.metadata:
        message.metadata.update(dict(document.metadata))


def _write_evidence(message: passage_pb2.Evidence, hit: SearchHit) -> None:
    fused = hit.fused
    message.score = fused.score
    if fused.dense_rank is not None and fused.dense_score is not None:
        message.dense_rank, message.dense_score = fused.dense_rank, fused.dense_score
    if fused.sparse_rank is not None and fused.sparse_score is not None:
        message.sparse_rank, message.sparse_score = fused.sparse_rank, fused.sparse_score
    message.matched_terms.extend(hit.matched)


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
