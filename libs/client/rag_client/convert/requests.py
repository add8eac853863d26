"""Requests from keyword arguments, for the sync and the async client."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from rag.gateway.v1 import answer_service_pb2 as answers
from rag.gateway.v1 import document_service_pb2 as documents
from rag.gateway.v1 import options_pb2 as wire
from rag.types.v1 import passage_pb2
from rag_client.convert import filters
from rag_client.files import document_id, file_name
from rag_client.models.options import (
    AnswerOptions,
    DocumentOptions,
    IngestOptions,
    ListOptions,
    PassageOptions,
    SearchOptions,
)
from rag_client.models.results import Passage
from rag_contract.errors import FieldInvalid

MessageT = TypeVar("MessageT", bound=Message)


def from_options(message: type[MessageT], options: Mapping[str, Any], **others: Any) -> MessageT:
    """A message with `others`, and with the options that are named like its fields."""
    names = message.DESCRIPTOR.fields_by_name.keys() - others.keys()
    return message(**{name: options[name] for name in names & options.keys()}, **others)


def search(query: str, options: SearchOptions) -> answers.SearchRequest:
    """The request for a search."""
    return from_options(answers.SearchRequest, options, query=query, retrieval=_retrieval(options))


def answer(query: str, options: AnswerOptions) -> answers.AnswerRequest:
    """The request for an answer."""
    return _question(answers.AnswerRequest, query, options)


def stream_answer(query: str, options: AnswerOptions) -> answers.StreamAnswerRequest:
    """The request for an answer as a stream."""
    return _question(answers.StreamAnswerRequest, query, options)


def _question(message: type[MessageT], query: str, options: AnswerOptions) -> MessageT:
    return from_options(
        message,
        options,
        query=query,
        retrieval=_retrieval(options),
        generation=from_options(wire.GenerationOptions, options),
        grounding=_grounding(options),
        passages=_passages(options.get("passages", ())),
    )


def check_grounding(text: str, passages: Iterable[Passage | str]) -> answers.CheckGroundingRequest:
    """The request to check a text."""
    return answers.CheckGroundingRequest(text=text, passages=_passages(passages))


def ingest(content: bytes, options: IngestOptions) -> documents.IngestDocumentRequest:
    """The request to ingest a document in one message."""
    return from_options(
        documents.IngestDocumentRequest, options, document=_spec(options), content=content
    )


def upload(
    chunks: Callable[[], Iterator[bytes]], options: IngestOptions
) -> Iterator[documents.UploadDocumentRequest]:
    """The messages of an upload: the header first, then the content."""
    header = from_options(documents.UploadHeader, options, document=_spec(options))
    yield documents.UploadDocumentRequest(header=header)
    for chunk in chunks():
        yield documents.UploadDocumentRequest(content=chunk)


def with_file_defaults(source: bytes | Path, options: IngestOptions) -> IngestOptions:
    """The options with defaults from a file: its name, and the document id that `rag ingest` derives.

    A new version of the same file therefore replaces the earlier one.
    """
    if not isinstance(source, Path):
        return options
    own_id = document_id(PurePosixPath(source.name))
    return {"filename": file_name(source), "document_id": own_id, **options}


def get_document(document_id: str, options: DocumentOptions) -> documents.GetDocumentRequest:
    """The request to read a document."""
    return from_options(documents.GetDocumentRequest, options, document_id=document_id)


def list_documents(page_token: str, options: ListOptions) -> documents.ListDocumentsRequest:
    """The request for a page of documents."""
    return from_options(documents.ListDocumentsRequest, options, page_token=page_token)


def list_passages(document_id: str, options: PassageOptions) -> documents.ListPassagesRequest:
    """The request for passages of a document."""
    return from_options(documents.ListPassagesRequest, options, document_id=document_id)


def delete_document(document_id: str, options: DocumentOptions) -> documents.DeleteDocumentRequest:
    """The request to delete a document."""
    return from_options(documents.DeleteDocumentRequest, options, document_id=document_id)


def _retrieval(options: SearchOptions) -> wire.RetrievalOptions:
    query_filter = options.get("filter")
    return from_options(
        wire.RetrievalOptions,
        options,
        filter=filters.to_wire(query_filter) if query_filter else None,
        mode=_enum_name("mode", "RETRIEVAL_MODE", options.get("mode")),
        fusion=_enum_name("fusion", "FUSION_METHOD", options.get("fusion")),
    )


def _grounding(options: AnswerOptions) -> wire.GroundingOptions:
    mode = _enum_name("grounding", "GROUNDING_MODE", options.get("grounding"))
    return wire.GroundingOptions(mode=mode, min_score=options.get("min_confidence"))


_ENUM_NAMES = {
    "RETRIEVAL_MODE": wire.RetrievalMode.keys(),
    "FUSION_METHOD": wire.FusionMethod.keys(),
    "GROUNDING_MODE": wire.GroundingMode.keys(),
}


def _enum_name(field: str, prefix: str, value: str | None) -> str:
    """The enum's name for a lower-case word. Raises FieldInvalid for an unknown word."""
    name = f"{prefix}_{(value or 'unspecified').upper()}"
    if name not in _ENUM_NAMES[prefix]:
        known = [key.removeprefix(f"{prefix}_").lower() for key in _ENUM_NAMES[prefix][1:]]
        raise FieldInvalid.of(field, f"one of {', '.join(known)}")
    return name


def _spec(options: IngestOptions) -> documents.DocumentSpec:
    metadata = Struct()
    metadata.update(
        {key: _metadata_value(value) for key, value in options.get("metadata", {}).items()}
    )
    return from_options(documents.DocumentSpec, options, metadata=metadata)


def _metadata_value(value: Any) -> Any:
    """A value that a Struct can hold; a datetime without a time zone is UTC, as in a filter."""
    if isinstance(value, list | tuple):
        return [_metadata_value(entry) for entry in value]
    if not isinstance(value, date):
        return value
    if isinstance(value, datetime) and value.utcoffset() is None:
        value = value.replace(tzinfo=UTC)
    return value.isoformat()


def _passages(passages: Iterable[Passage | str]) -> Iterator[passage_pb2.Passage]:
    for number, item in enumerate(passages, start=1):
        passage = Passage(str(number), item) if isinstance(item, str) else item
        message = passage_pb2.Passage(
            passage_id=passage.passage_id,
            document_id=passage.document_id,
            collection=passage.collection,
            title=passage.title,
            text=passage.text,
            headings=passage.headings,
            uri=passage.uri,
            page=passage.page,
        )
        if passage.location:
            message.location.CopyFrom(passage_pb2.Location(**asdict(passage.location)))
        message.metadata.update(passage.metadata)
        yield message
